import { injectedNames, RESERVED_PREFIX } from "../names.ts";
import { pathOf } from "../tenant_containers.ts";
import { containerRule, listAt, type Rule, valueAt, type Violation } from "./rule.ts";

const OUR_VOLUMES: readonly string[] = [injectedNames.configVolume, injectedNames.runVolume];

const notReserved = `must be another name: those that begin with "${RESERVED_PREFIX}" are reserved by the provider`;

const isReserved = (name: unknown): boolean => typeof name === "string" && name.startsWith(RESERVED_PREFIX);

/** A volume has one of our names only once, and there it is ours: see `injectionDifference`. */
const volumeNames: Rule = {
  id: "reserved-names",
  row: "reserved container or volume name",
  relaxedBy: [],
  check(pod) {
    const seen = new Set<string>();
    return (pod.spec?.volumes ?? []).flatMap(({ name }, i): Violation[] => {
      const ours = OUR_VOLUMES.includes(name) && !seen.has(name);
      seen.add(name);
      return isReserved(name) && !ours ? [{ field: `spec.volumes[${i}].name`, message: notReserved }] : [];
    });
  },
};

/** The admin socket lies in one of our volumes. */
const volumeMounts: readonly Rule[] = (["volumeMounts", "volumeDevices"] as const).map((list): Rule => ({
  id: "reserved-volumes",
  row: "our volumes in a tenant container",
  relaxedBy: [],
  check: (_pod, { containers }) =>
    containers.flatMap((located) =>
      listAt(located.container, [list]).flatMap((mount, i): Violation[] =>
        isReserved(valueAt(mount, ["name"]))
          ? [{
            field: `${pathOf(located)}.${list}[${i}].name`,
            message: "must be a volume of your own: this one belongs to the provider",
          }]
          : []
      )
    ),
}));

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
];
