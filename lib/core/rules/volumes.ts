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
  check(pod) {
    const violations: Violation[] = [];
    for (const [i, volume] of listAt(pod, ["spec", "volumes"]).entries()) {
      const wrong = Object.entries(volume as Record<string, unknown>)
        .some(([key, value]) => key !== "name" && value !== null && value !== undefined && !KINDS.includes(key));
      if (wrong) violations.push({ field: `spec.volumes[${i}]`, message: `must be one of ${KINDS.join(", ")}` });
    }
    return violations;
  },
};

/** What the pod may have mounted. */
export const volumeRules: readonly Rule[] = [volumeKinds];
