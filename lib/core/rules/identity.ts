import { usedIds } from "../proxy_uid.ts";
import { listAt, oneOf, podRule, type Rule, valueAt, type Violation } from "./rule.ts";

const row = "service account token";

const defaultAccount = {
  right: oneOf("", "default"),
  must: 'must be "default" or left out: the provider gives pods no identity of its own',
};

/** Kinds of projected sources that prove an identity of the pod to the provider's cluster. */
const IDENTITIES = ["serviceAccountToken", "podCertificate"] as const;

const projectedIdentities: Rule = {
  id: "projected-tokens",
  row,
  check(pod) {
    const violations: Violation[] = [];
    for (const [i, volume] of listAt(pod, ["spec", "volumes"]).entries()) {
      for (const [k, source] of listAt(volume, ["projected", "sources"]).entries()) {
        const identity = IDENTITIES.find((kind) => valueAt(source, [kind]) !== undefined);
        if (identity === undefined) continue;
        violations.push({
          field: `spec.volumes[${i}].projected.sources[${k}].${identity}`,
          message: "must be left out: the provider gives pods no identity; a token of your own goes into a Secret",
        });
      }
    }
    return violations;
  },
};

/** The uid is chosen so that this holds; a shared group opens no way either (row 11), but need not be. */
const proxyUid: Rule = {
  id: "proxy-uid",
  row: "proxy uid at pod, container, init, ephemeral level, or image USER (invisible)",
  check: (pod, context) =>
    usedIds(pod, { first: context.proxyUid, last: context.proxyUid }, context.containers).size > 0
      ? [{ field: "spec", message: `must not use the user or group id ${context.proxyUid}` }]
      : [],
};

/** The pod is nobody in the provider's cluster. */
export const identityRules: readonly Rule[] = [
  podRule({
    id: "service-account",
    row: "serviceAccountName, nodeName, priorityClassName",
    field: "spec.serviceAccountName",
    ...defaultAccount,
  }),
  podRule({
    id: "service-account",
    row: "serviceAccountName, nodeName, priorityClassName",
    field: "spec.serviceAccount",
    ...defaultAccount,
  }),
  podRule({
    id: "automount-token",
    row,
    field: "spec.automountServiceAccountToken",
    right: (value) => value === false,
    must: "must be false",
  }),
  projectedIdentities,
  proxyUid,
];
