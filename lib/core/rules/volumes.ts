import { listAt, type Rule, type Violation } from "./rule.ts";

/**
 * Kinds of volumes that the node fills without asking a server of the consumer's choice: those of Pod Security's `restricted` but `csi`, whose
 * attributes may name a server, and images, which are pulled like those of containers.
 */
const KINDS: readonly string[] = [
  "configMap",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

/** The node itself mounts nothing of its own, and nothing over the network, for the pod. */
export const volumeKinds: Rule = {
  id: "volume-kinds",
  row: "hostNetwork, hostPID, hostIPC, hostPort, privileged, hostPath, procMount, Windows",
  relaxedBy: [],
  check: (pod) =>
    listAt(pod, ["spec", "volumes"]).flatMap((volume, i): Violation[] => {
      const kinds = Object.entries(volume as Record<string, unknown>)
        .filter(([key, value]) => key !== "name" && value !== null && value !== undefined).map(([key]) => key);
      if (kinds.every((kind) => KINDS.includes(kind))) return [];
      return [{ field: `spec.volumes[${i}]`, message: `must be one of ${KINDS.join(", ")}` }];
    }),
};

/** What the pod may have mounted. */
export const volumeRules: readonly Rule[] = [volumeKinds];
