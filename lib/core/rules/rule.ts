import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { NamespacePolicy } from "../namespace_policy.ts";
import { pathOf, type TenantContainer } from "../tenant_containers.ts";

/** What a rule knows besides the pod. */
export interface RuleContext {
  /** Of the pod's namespace. */
  policy: NamespacePolicy;
  /** uid of the pod's proxy. */
  proxyUid: number;
  /** The consumer's containers of all kinds. */
  containers: readonly TenantContainer[];
}

/** A field of a pod that contradicts a rule. */
export interface Violation {
  /** Path of the field, like `spec.containers[0].securityContext.runAsUser`. */
  field: string;
  /** What would be right. It reaches the consumer, so it names nothing internal. */
  message: string;
}

/**
 * One condition on a pod as patched: what is silent has been filled in, so only a contradiction is left to find. What it leaves to a
 * profile it reads from the policy.
 */
export interface Rule {
  /** Short name of what it is about; rules on one matter share it. */
  id: string;
  /** The way around the proxy that it closes, as tests name it: tests/core/rules/rules_test.ts, numbers as in tests/net/attacks.ts. */
  row: string;
  /** Every contradiction. */
  check(pod: Pod, context: RuleContext): Violation[];
}

/** A condition on the value of one field, which may be of any type. */
export interface FieldRule {
  id: string;
  row: string;
  /** Path below the pod or the container, keys joined by dots. */
  field: string;
  /** Whether the value is right; `undefined` where the field or anything above it is absent or null. */
  right(value: unknown, context: RuleContext): boolean;
  /** What would be right. */
  must: string | ((context: RuleContext) => string);
}

/** The value at a path of keys; undefined where it or anything above it is absent, null or no object. */
export function valueAt(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value ?? undefined;
}

/** The elements of a list; none of what is no list. */
export function listAt(object: unknown, path: readonly string[]): readonly unknown[] {
  const value = valueAt(object, path);
  return Array.isArray(value) ? value : NONE;
}

const NONE: readonly unknown[] = [];

const words = (must: FieldRule["must"], context: RuleContext): string =>
  typeof must === "string" ? must : must(context);

/** A rule on a field of the pod. */
export function podRule({ id, row, field, right, must }: FieldRule): Rule {
  const path = field.split(".");
  return {
    id,
    row,
    check: (pod, context) => right(valueAt(pod, path), context) ? [] : [{ field, message: words(must, context) }],
  };
}

/** A rule on a field of each container of the consumer. */
export function containerRule({ id, row, field, right, must }: FieldRule): Rule {
  const path = field.split(".");
  return {
    id,
    row,
    check: (_pod, context) =>
      context.containers.filter(({ container }) => !right(valueAt(container, path), context))
        .map((located) => ({ field: `${pathOf(located)}.${field}`, message: words(must, context) })),
  };
}

/** A rule on a field of each element of a list that each container of the consumer may have. */
export function itemRule({ id, row, list, field, right, must }: FieldRule & { list: string }): Rule {
  const [listPath, path] = [list.split("."), field.split(".")];
  return {
    id,
    row,
    check(_pod, context) {
      const violations: Violation[] = [];
      for (const located of context.containers) {
        for (const [i, item] of listAt(located.container, listPath).entries()) {
          if (right(valueAt(item, path), context)) continue;
          violations.push({ field: `${pathOf(located)}.${list}[${i}].${field}`, message: words(must, context) });
        }
      }
      return violations;
    },
  };
}

/** Absent, or `false`. */
export const falseOrAbsent = (value: unknown): boolean => value === undefined || value === false;

/** Absent, or without contents. */
export const emptyOrAbsent = (value: unknown): boolean =>
  value === undefined || value === "" || (Array.isArray(value) && value.length === 0);

/** Absent, or one of these. */
export const oneOf = (...allowed: readonly unknown[]) => (value: unknown): boolean =>
  value === undefined || allowed.includes(value);
