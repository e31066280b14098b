import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { injectedNames, RESERVED_PREFIX } from "../names.ts";
import { locatedContainers } from "./containers.ts";
import type { Rule, Violation } from "./rule.ts";

const OUR_VOLUMES: readonly string[] = [injectedNames.configVolume, injectedNames.runVolume];

const notReserved = `names that begin with "${RESERVED_PREFIX}" are reserved by the provider: choose another`;

/** Containers and volumes of the consumer keep off our names. */
export const reservedNames: Rule = {
  id: "reserved-names",
  row: "reserved container or volume name",
  relaxedBy: [],
  check(pod: Pod): Violation[] {
    const violations: Violation[] = [];
    for (const { container, field } of locatedContainers(pod)) {
      if (container.name?.startsWith(RESERVED_PREFIX)) {
        violations.push({ field: `${field}.name`, message: notReserved });
      }
    }
    for (const [i, volume] of (pod.spec?.volumes ?? []).entries()) {
      if (volume.name?.startsWith(RESERVED_PREFIX) && !OUR_VOLUMES.includes(volume.name)) {
        violations.push({ field: `spec.volumes[${i}].name`, message: notReserved });
      }
    }
    return violations;
  },
};

/** No container of the consumer mounts a volume of ours: the admin socket lies in one. */
export const reservedVolumes: Rule = {
  id: "reserved-volumes",
  row: "our volumes in a tenant container",
  relaxedBy: [],
  check(pod: Pod): Violation[] {
    return locatedContainers(pod).flatMap(({ container, field }) =>
      [...(container.volumeMounts ?? []), ...(container.volumeDevices ?? [])].filter((mount) =>
        mount.name?.startsWith(RESERVED_PREFIX)
      ).map((mount) => ({
        field: `${field}.volumeMounts[${mount.name}]`,
        message: "this volume belongs to the provider: remove the mount",
      }))
    );
  },
};
