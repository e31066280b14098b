import { injectedNames, RESERVED_PREFIX } from "../names.ts";
import { containerRule, itemRule, type Rule, type Violation } from "./rule.ts";

const OUR_VOLUMES: readonly string[] = [injectedNames.configVolume, injectedNames.runVolume];

const notReserved = `must be another name: those that begin with "${RESERVED_PREFIX}" are reserved by the provider`;

const isReserved = (name: unknown): boolean => typeof name === "string" && name.startsWith(RESERVED_PREFIX);

/** A volume has one of our names only once, and there it is ours: see `injectionDifference`. */
const volumeNames: Rule = {
  id: "reserved-names",
  row: "reserved container or volume name",
  check(pod) {
    const seen: string[] = [];
    const violations: Violation[] = [];
    for (const [i, { name }] of (pod.spec?.volumes ?? []).entries()) {
      if (!isReserved(name)) continue;
      const ours = OUR_VOLUMES.includes(name) && !seen.includes(name);
      seen.push(name);
      if (!ours) violations.push({ field: `spec.volumes[${i}].name`, message: notReserved });
    }
    return violations;
  },
};

/** The admin socket lies in one of our volumes. */
const volumeMounts: readonly Rule[] = ["volumeMounts", "volumeDevices"].map((list) =>
  itemRule({
    id: "reserved-volumes",
    row: "our volumes in a tenant container",
    list,
    field: "name",
    right: (name) => !isReserved(name),
    must: "must be a volume of your own: this one belongs to the provider",
  })
);

/** The kubelet reads a variable from a file of a volume that the container need not mount. */
const volumeVariables: Rule = itemRule({
  id: "reserved-volumes",
  row: "our volumes in a tenant container",
  list: "env",
  field: "valueFrom.fileKeyRef.volumeName",
  right: (name) => !isReserved(name),
  must: "must be a volume of your own: this one belongs to the provider",
});

/** Containers, volumes and mounts of the consumer keep off our names. */
export const reservedNameRules: readonly Rule[] = [
  containerRule({
    id: "reserved-names",
    row: "reserved container or volume name",
    field: "name",
    right: (name) => !isReserved(name),
    must: notReserved,
  }),
  volumeNames,
  ...volumeMounts,
  volumeVariables,
];
