import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { NamespacePolicy, Profile } from "../namespace_policy.ts";

/** What a rule knows besides the pod. */
export interface RuleContext {
  /** Of the pod's namespace. */
  policy: NamespacePolicy;
  /** uid of the pod's proxy. */
  proxyUid: number;
}

/** A field of a pod that contradicts a rule. */
export interface Violation {
  /** Path of the field, like `spec.containers[0].securityContext.runAsUser`. */
  field: string;
  /** What would be right. It reaches the consumer, so it names nothing internal. */
  message: string;
}

/** One condition on a pod as patched: what is silent has been filled in, so only a contradiction is left to find. */
export interface Rule {
  /** Short name, for metrics and logs. */
  id: string;
  /** Row of the bypass matrix that it closes. */
  row: string;
  /** Profiles in which it does not hold. */
  relaxedBy: readonly Profile[];
  /** Every contradiction. */
  check(pod: Pod, context: RuleContext): Violation[];
}
