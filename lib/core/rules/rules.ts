import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { hostRules } from "./host.ts";
import { identityRules } from "./identity.ts";
import { noMesh } from "./mesh.ts";
import { networkRules } from "./network.ts";
import { probeRules } from "./probes.ts";
import { reservedNameRules } from "./reserved_names.ts";
import type { Rule, RuleContext, Violation } from "./rule.ts";
import { schedulingRules } from "./scheduling.ts";
import { securityContextRules } from "./security_context.ts";
import { volumeRules } from "./volumes.ts";

/** Every rule, in the order in which violations are listed. */
export const rules: readonly Rule[] = [
  noMesh,
  ...reservedNameRules,
  ...hostRules,
  ...securityContextRules,
  ...identityRules,
  ...networkRules,
  ...volumeRules,
  ...schedulingRules,
  ...probeRules,
];

/** A violation, and the rule that found it. */
export interface Judgement extends Violation {
  /** `id` of the rule. */
  rule: string;
}

/** Judges a pod as patched by the rules that hold in its namespace. */
export function judge(pod: Pod, context: RuleContext): Judgement[] {
  const found: Judgement[] = [];
  for (const rule of rules) {
    for (const violation of rule.check(pod, context)) found.push({ rule: rule.id, ...violation });
  }
  return found;
}
