import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { reservedNames, reservedVolumes } from "./reserved_names.ts";
import type { Rule, RuleContext, Violation } from "./rule.ts";
import { securityContextRules } from "./security_context.ts";

/** Every rule, in the order in which violations are listed. */
export const rules: readonly Rule[] = [reservedNames, reservedVolumes, ...securityContextRules];

/** A violation, and the rule that found it. */
export interface Judgement extends Violation {
  /** `id` of the rule. */
  rule: string;
}

/** Judges a pod as patched by the rules that hold in its namespace. */
export function judge(pod: Pod, context: RuleContext): Judgement[] {
  return rules.filter((rule) => !rule.relaxedBy.includes(context.policy.profile))
    .flatMap((rule) => rule.check(pod, context).map((violation) => ({ rule: rule.id, ...violation })));
}
