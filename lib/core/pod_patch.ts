import type { Container, Pod, Volume } from "kubernetes-types/core/v1.d.ts";
import { PROBES_VARIABLE, probesVariable } from "./envoy/probes.ts";
import { NO_CONSUMER, type PodValues } from "./injected.ts";
import type { Injection, PreparedTemplate } from "./injection.ts";
import { injectedNames, labels, RESERVED_PREFIX } from "./names.ts";
import type { NamespacePolicy } from "./namespace_policy.ts";
import { PatchBuilder } from "./patch_builder.ts";
import type { PatchOp } from "./patch_op.ts";
import { oversize } from "./pod_size.ts";
import { chooseProxyUid } from "./proxy_uid.ts";
import { isQuantity } from "./quantity.ts";
import { valueAt } from "./rules/rule.ts";
import { judge, type Judgement } from "./rules/rules.ts";
import { missingSecurity } from "./rules/security_context.ts";
import { injectionDifference, TOKEN_PATH } from "./same_injection.ts";
import { CONTAINER_FIELDS, tenantContainers } from "./tenant_containers.ts";

/** A pod made ours, or why it cannot be. */
export type PatchResult =
  | {
    kind: "patched";
    /** None if the pod was as we make it. */
    ops: PatchOp[];
    /** The pod after them. */
    pod: Pod;
  }
  | { kind: "refused"; violations: Judgement[] };

/** Injects a pod of an offloaded namespace and judges what comes out. A pod that is already injected is only completed. */
export function patchPod(pod: Pod, policy: NamespacePolicy, injection: Injection): PatchResult {
  const large = oversize(pod);
  if (large !== undefined) return refused([{ rule: "size", ...large }]);
  const patch = new PatchBuilder(pod);
  const result = carriesOurs(pod) ? keepOurs(patch, policy, injection) : addOurs(patch, policy, injection.current);
  if (typeof result !== "number") return refused([result]);
  withoutToken(patch);
  fillSecurity(patch, policy);
  patch.label(labels.netpolAllow, "true");
  const violations = judge(patch.pod, { policy, proxyUid: result, containers: tenantContainers(patch.pod) });
  return violations.length > 0 ? refused(violations) : { kind: "patched", ops: patch.ops, pod: patch.pod };
}

function refused(violations: Judgement[]): PatchResult {
  return { kind: "refused", violations };
}

const OUR_NAMES: readonly string[] = Object.values(injectedNames);

/** Whether anything in the pod has the name of a container or volume of ours. */
function carriesOurs(pod: Pod): boolean {
  const named = ({ name }: { name: string }): boolean => OUR_NAMES.includes(name);
  return CONTAINER_FIELDS.some((field) => ((pod.spec?.[field] ?? []) as Container[]).some(named)) ||
    (pod.spec?.volumes ?? []).some(named);
}

/** What our containers are told about a pod; undefined if its proxy finds no uid. */
function podValues(pod: Pod, policy: NamespacePolicy, template: PreparedTemplate): PodValues | undefined {
  const containers = tenantContainers(pod);
  const proxyUid = chooseProxyUid(pod, template.source.proxyUids);
  if (proxyUid === undefined) return undefined;
  const consumer = policy.consumer || NO_CONSUMER;
  const probes = probesVariable(containers.map(({ container }) => container));
  return { proxyUid, consumer, claimedConsumer: (policy.claimedConsumer ?? consumer) || NO_CONSUMER, probes };
}

/** Adds our containers and volumes. Returns the proxy's uid, or why there is none. */
function addOurs(patch: PatchBuilder, policy: NamespacePolicy, template: PreparedTemplate): number | Judgement {
  const wrong = wrongQuantity(patch.pod);
  if (wrong !== undefined) return wrong;
  const values = podValues(patch.pod, policy, template);
  if (values === undefined) {
    const { first, last } = template.source.proxyUids;
    return {
      rule: "proxy-uid",
      field: "spec",
      message: `must leave at least one user id from ${first} to ${last} to the provider`,
    };
  }
  const containers = template.containers(values);
  patch.prependInit(containers);
  patch.append("volumes", template.volumes);
  addPullSecret(patch, template);
  patch.raiseResources(containers[1]!.object);
  return values.proxyUid;
}

/** A pod-level resource that nothing can be added to. */
function wrongQuantity(pod: Pod): Judgement | undefined {
  for (const part of ["requests", "limits"]) {
    for (const [key, value] of Object.entries(valueAt(pod, ["spec", "resources", part]) ?? {})) {
      if (value === null || isQuantity(value)) continue;
      const field = `spec.resources.${part}[${key.slice(0, 100)}]`;
      return { rule: "quantity", field, message: "must be a quantity like 100m, 1.5 or 128Mi, and not negative" };
    }
  }
  return undefined;
}

/** Keeps our containers if they are as an accepted template makes them. Returns the proxy's uid, or what is wrong. */
function keepOurs(patch: PatchBuilder, policy: NamespacePolicy, { current, accepted }: Injection): number | Judgement {
  patch.moveOursFirst();
  let difference: string | undefined;
  for (const template of [current, ...accepted]) {
    const values = podValues(patch.pod, policy, template);
    if (values === undefined) continue;
    const found = injectionDifference(patch.pod, template, values);
    difference ??= found;
    if (found !== undefined) continue;
    for (const i of template.containers(values).keys()) {
      patch.removeMounts("initContainers", i, (mount) => mount.mountPath === TOKEN_PATH);
      patch.setEnv("initContainers", i, { name: PROBES_VARIABLE, value: values.probes });
    }
    addPullSecret(patch, template);
    return values.proxyUid;
  }
  return {
    rule: "reserved-names",
    field: difference ?? "spec.initContainers",
    message:
      `belongs to the provider, who adds it: leave out containers and volumes whose names begin with "${RESERVED_PREFIX}"`,
  };
}

function addPullSecret(patch: PatchBuilder, { imagePullSecrets }: PreparedTemplate): void {
  const present = patch.pod.spec?.imagePullSecrets ?? [];
  patch.append(
    "imagePullSecrets",
    imagePullSecrets.filter(({ object }) => !present.some((s) => s.name === object.name)),
  );
}

/**
 * Has a pod that says nothing about it do without the token of its ServiceAccount, and takes off what the API server has mounted already. What
 * the consumer mounts itself is left to the rules.
 */
function withoutToken(patch: PatchBuilder): void {
  const spec = patch.pod.spec;
  if ((spec?.automountServiceAccountToken ?? undefined) !== undefined) return;
  patch.setSpec("automountServiceAccountToken", false);
  const index = (spec?.volumes ?? []).findIndex(isMountedToken);
  if (index < 0) return;
  const name = spec!.volumes![index]!.name;
  for (const { kind, index } of tenantContainers(patch.pod)) {
    patch.removeMounts(kind, index, (mount) => mount.name === name && mount.mountPath === TOKEN_PATH);
  }
  const isUsed = tenantContainers(patch.pod).some(({ container }) =>
    container.volumeMounts?.some((m) => m.name === name)
  );
  if (!isUsed) patch.removeVolume(index);
}

/** The volume that the admission plugin ServiceAccount adds. */
function isMountedToken({ name, projected }: Volume): boolean {
  return name.startsWith("kube-api-access-") && (projected?.sources ?? []).some((source) => source.serviceAccountToken);
}

/** Sets what the consumer's containers say nothing about. */
function fillSecurity(patch: PatchBuilder, policy: NamespacePolicy): void {
  const pod = patch.pod.spec?.securityContext;
  for (const { container, kind, index } of tenantContainers(patch.pod)) {
    patch.setSecurity(kind, index, missingSecurity(container, pod, policy));
  }
}
