import type { NamespacePolicy } from "../../lib/core/namespace_policy.ts";

/** The policy of `trial-pharma` without any label of the provider's. */
export function testPolicy(changed: Partial<NamespacePolicy> = {}): NamespacePolicy {
  return {
    name: "trial-pharma",
    uid: "5f0f0c4e-0000-4000-8000-000000000001",
    terminating: false,
    consumer: "pharma",
    claimedConsumer: undefined,
    proxy: true,
    netpol: true,
    profile: "restricted",
    runAsUser: 10_001,
    runtimeClasses: [],
    priorityClasses: [],
    extendedResources: [],
    findings: [],
    ...changed,
  };
}
