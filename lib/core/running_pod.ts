import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { Injection } from "./injection.ts";
import type { NamespacePolicy } from "./namespace_policy.ts";
import { patchPod } from "./pod_patch.ts";
import { isInjected } from "./tenant_containers.ts";

/** Whether a pod runs, or will: one that has ended or is going needs no proxy any more. */
export function isRunning(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase !== "Succeeded" && phase !== "Failed" && pod.metadata?.deletionTimestamp === undefined;
}

/**
 * What proxy a running pod has: one that a known template makes, another (an older one, or one that a pod older than the installation made
 * up), or none. The same comparison as at admission; what else the rules think of the pod is no matter here.
 */
export function proxyOf(pod: Pod, policy: NamespacePolicy, injection: Injection): "ours" | "other" | "none" {
  if (!isInjected(pod)) return "none";
  const result = patchPod(pod, policy, injection);
  return result.kind === "refused" && result.violations.some(({ rule }) => rule === "reserved-names")
    ? "other"
    : "ours";
}
