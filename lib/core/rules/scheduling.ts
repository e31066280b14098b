import { pathOf } from "../tenant_containers.ts";
import {
  containerRule,
  emptyOrAbsent,
  type FieldRule,
  itemRule,
  podRule,
  type Rule,
  valueAt,
  type Violation,
} from "./rule.ts";

/** Resources that every node has; all others are devices, which may be network cards. */
const COMMON = /^(cpu|memory|ephemeral-storage|hugepages-[^/]*)$/;

const allowList = (allowed: readonly string[]): string =>
  allowed.length === 0 ? "must be left out" : `must be one of ${allowed.join(", ")}, or left out`;

/** Devices of the node, network cards among them, are given to pods as extended resources. */
const extendedResources: Rule = {
  id: "extended-resources",
  row: "more interfaces",
  check(pod, { policy, containers }) {
    const violations: Violation[] = [];
    const judge = (resources: unknown, field: () => string) => {
      for (const part of ["requests", "limits"]) {
        for (const key of Object.keys(valueAt(resources, [part]) ?? {})) {
          if (COMMON.test(key) || policy.extendedResources.includes(key)) continue;
          const given = ["cpu", "memory", ...policy.extendedResources, "ephemeral-storage"].join(", ");
          violations.push({
            field: `${field()}.${part}[${key.slice(0, 100)}]`,
            message: `must be left out: the provider gives pods ${given} only`,
          });
        }
      }
    };
    judge(valueAt(pod, ["spec", "resources"]), () => "spec.resources");
    for (const located of containers) judge(located.container.resources, () => `${pathOf(located)}.resources`);
    return violations;
  },
};

const claims: Omit<FieldRule, "field"> = {
  id: "resource-claims",
  row: "more interfaces",
  right: emptyOrAbsent,
  must: "must be left out: the provider gives pods no devices by claim",
};

/** The provider decides where a pod runs, on what, and before whom. */
export const schedulingRules: readonly Rule[] = [
  podRule({
    id: "node-name",
    row: "serviceAccountName, nodeName, priorityClassName",
    field: "spec.nodeName",
    right: emptyOrAbsent,
    must: "must be left out: the provider's scheduler chooses the node",
  }),
  podRule({
    id: "priority-class",
    row: "serviceAccountName, nodeName, priorityClassName",
    field: "spec.priorityClassName",
    right: (value, { policy }) => emptyOrAbsent(value) || policy.priorityClasses.includes(value as string),
    must: ({ policy }) => allowList(policy.priorityClasses),
  }),
  podRule({
    id: "runtime-class",
    row: "runtimeClassName (gVisor, Kata)",
    field: "spec.runtimeClassName",
    right: (value, { policy }) => value === undefined || policy.runtimeClasses.includes(value as string),
    must: ({ policy }) => allowList(policy.runtimeClasses),
  }),
  podRule({ ...claims, field: "spec.resourceClaims" }),
  podRule({ ...claims, field: "spec.resources.claims" }),
  containerRule({ ...claims, field: "resources.claims" }),
  extendedResources,
  podRule({
    id: "ephemeral-containers",
    row: "`pods/ephemeralcontainers`",
    field: "spec.ephemeralContainers",
    right: emptyOrAbsent,
    must: "must be left out",
  }),
  itemRule({
    id: "restart-rules",
    row: "restartPolicyRules, RestartAllContainers",
    list: "restartPolicyRules",
    field: "action",
    right: (action) => action === "Restart",
    must: "must be Restart: the pod's other containers cannot be restarted by one of them",
  }),
];
