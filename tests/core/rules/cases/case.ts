import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { NamespacePolicy, Profile } from "../../../../lib/core/namespace_policy.ts";
import { testPod } from "../../../support/pods.ts";

/** What becomes of a pod. */
export interface Case {
  name: string;
  pod: Pod;
  /** `field: beginning of the message` of each violation, in order; none: it passes. */
  refused: string[];
  /** Profiles in which it passes all the same. */
  passesIn?: Profile[];
  /** What the provider allows. */
  policy?: Partial<NamespacePolicy>;
}

/** A pod that is let through in every profile. */
export const passes = (name: string, pod: Pod, policy: Partial<NamespacePolicy> = {}): Case => ({
  name,
  pod,
  refused: [],
  policy,
});
/** A pod that these rules refuse, in every profile. */
export const fails = (name: string, pod: Pod, ...refused: string[]): Case => ({ name, pod, refused });
/** The same, but that it passes in these profiles. */
export const except = (passesIn: Profile[], { ...rest }: Case): Case => ({ ...rest, passesIn });
/** A pod whose container has this security context. */
export const security = (securityContext: object) => testPod({}, { securityContext });
/** A pod with these annotations. */
export const annotated = (annotations: Record<string, string>): Pod => ({
  ...testPod(),
  metadata: { name: "app", annotations },
});
/** Path of the only container. */
export const C = "spec.containers[0]";
/** Path of its security context. */
export const S = `${C}.securityContext`;
