import type { Container, Pod, PodSpec, Volume } from "kubernetes-types/core/v1.d.ts";
import {
  chooseProxyUid,
  CONTAINER_FIELDS,
  fillContainers,
  type InjectionTemplate,
  isOurs,
  NO_CONSUMER,
  type PodValues,
} from "./injected.ts";
import { injectedNames, labels } from "./names.ts";
import type { NamespacePolicy } from "./namespace_policy.ts";
import { addQuantities } from "./quantity.ts";
import { judge, type Judgement } from "./rules/rules.ts";
import { missingSecurity } from "./rules/security_context.ts";
import { injectionDifference, TOKEN_PATH } from "./same_injection.ts";

/** A pod made ours, or why it cannot be. */
export type PatchResult =
  | {
    kind: "patched";
    /** Operations of a JSON Patch (RFC 6902), each as JSON; none if the pod was as we make it. */
    ops: string[];
    /** The pod after them. */
    pod: Pod;
  }
  | { kind: "refused"; violations: Judgement[] };

/** What injection follows: the template of this version, and those that are accepted besides (the version before). */
export interface Injection {
  current: InjectionTemplate;
  accepted: readonly InjectionTemplate[];
}

/** Injects a pod of an offloaded namespace and judges what comes out. A pod that is already injected is only completed. */
export function patchPod(pod: Pod, policy: NamespacePolicy, injection: Injection): PatchResult {
  const patch = new PodPatch(pod);
  const carried = carriesOurs(pod);
  const result = carried ? keepOurs(patch, policy, injection) : addOurs(patch, policy, injection.current);
  if (typeof result !== "number") return { kind: "refused", violations: [result] };
  fillSecurity(patch, policy);
  patch.label(labels.netpolAllow, "true");
  const violations = judge(patch.pod, { policy, proxyUid: result });
  return violations.length > 0 ? { kind: "refused", violations } : { kind: "patched", ops: patch.ops, pod: patch.pod };
}

/** Whether anything in the pod has the name of a container or volume of ours. */
function carriesOurs(pod: Pod): boolean {
  return CONTAINER_FIELDS.some((field) => ((pod.spec?.[field] ?? []) as Container[]).some(isOurs)) ||
    (pod.spec?.volumes ?? []).some(isOurVolume);
}

function isOurVolume(volume: Volume): boolean {
  return volume.name === injectedNames.configVolume || volume.name === injectedNames.runVolume;
}

function podValues(policy: NamespacePolicy, proxyUid: number): PodValues {
  const consumer = policy.consumer || NO_CONSUMER;
  return { proxyUid, consumer, claimedConsumer: policy.claimedConsumer ?? consumer };
}

/** Adds our containers and volumes. Returns the proxy's uid, or why there is none. */
function addOurs(patch: PodPatch, policy: NamespacePolicy, template: InjectionTemplate): number | Judgement {
  const proxyUid = chooseProxyUid(patch.pod, template.proxyUids);
  if (proxyUid === undefined) {
    const { first, last } = template.proxyUids;
    return {
      rule: "proxy-uid",
      field: "spec.securityContext",
      message:
        `the pod uses every user id from ${first} to ${last}, and at least one of them must be left to the provider`,
    };
  }
  const containers = JSON.parse(fillContainers(template, podValues(policy, proxyUid))) as Container[];
  patch.prependInit(containers);
  patch.append("volumes", JSON.parse(template.volumes) as Volume[]);
  const secret = template.imagePullSecret;
  if (secret !== "" && !(patch.pod.spec?.imagePullSecrets ?? []).some((s) => s.name === secret)) {
    patch.append("imagePullSecrets", [{ name: secret }]);
  }
  patch.raiseResources(containers[1]!);
  return proxyUid;
}

/** Keeps our containers if they are as an accepted template makes them. Returns the proxy's uid, or what is wrong. */
function keepOurs(patch: PodPatch, policy: NamespacePolicy, { current, accepted }: Injection): number | Judgement {
  patch.moveOursFirst();
  let difference: string | undefined;
  for (const template of [current, ...accepted]) {
    const proxyUid = chooseProxyUid(patch.pod, template.proxyUids);
    if (proxyUid === undefined) continue;
    const found = injectionDifference(patch.pod, template, podValues(policy, proxyUid));
    if (found === undefined) {
      patch.dropTokenMounts();
      return proxyUid;
    }
    difference ??= found;
  }
  return {
    rule: "reserved-names",
    field: difference ?? "spec.initContainers",
    message: "this container or volume belongs to the provider, who adds it: leave it out",
  };
}

function fillSecurity(patch: PodPatch, policy: NamespacePolicy): void {
  for (const field of CONTAINER_FIELDS) {
    for (const [i, container] of ((patch.pod.spec?.[field] ?? []) as Container[]).entries()) {
      if (isOurs(container)) continue;
      const missing = missingSecurity(container, patch.pod.spec?.securityContext, policy);
      patch.mergeSecurity(field, i, missing);
    }
  }
}

/** Builds a JSON Patch and the pod after it side by side. The pod that came in stays as it was. */
class PodPatch {
  readonly ops: string[] = [];
  readonly pod: Pod;
  readonly #spec: PodSpec;

  constructor(pod: Pod) {
    this.#spec = { ...pod.spec } as PodSpec;
    this.pod = { ...pod, spec: this.#spec };
  }

  #op(op: "add" | "remove", path: string, value?: unknown): void {
    this.ops.push(JSON.stringify(value === undefined ? { op, path } : { op, path, value }));
  }

  prependInit(containers: Container[]): void {
    const present = this.#spec.initContainers ?? undefined;
    if (present === undefined) this.#op("add", "/spec/initContainers", containers);
    else containers.forEach((container, i) => this.#op("add", `/spec/initContainers/${i}`, container));
    this.#spec.initContainers = [...containers, ...(present ?? [])];
  }

  append(field: "volumes" | "imagePullSecrets", items: { name: string }[] | Volume[]): void {
    const present = (this.#spec[field] ?? undefined) as Volume[] | undefined;
    if (present === undefined) this.#op("add", `/spec/${field}`, items);
    else items.forEach((item) => this.#op("add", `/spec/${field}/-`, item));
    this.#spec[field] = [...(present ?? []), ...items] as Volume[];
  }

  /** Another webhook may have put its init containers before ours. */
  moveOursFirst(): void {
    const present = this.#spec.initContainers ?? [];
    const at = [injectedNames.init, injectedNames.proxy].map((name) => present.findIndex((c) => c.name === name));
    if (at.some((i) => i < 0) || (at[0] === 0 && at[1] === 1)) return;
    const ours = at.map((i) => present[i]!);
    for (const i of at.toSorted((a, b) => b - a)) this.#op("remove", `/spec/initContainers/${i}`);
    ours.forEach((container, i) => this.#op("add", `/spec/initContainers/${i}`, container));
    this.#spec.initContainers = [...ours, ...present.filter((_, i) => !at.includes(i))];
  }

  /** Takes off the token that the ServiceAccount plugin mounts into every container. */
  dropTokenMounts(): void {
    this.#spec.initContainers = (this.#spec.initContainers ?? []).map((container, i) => {
      const mounts = container.volumeMounts ?? [];
      if (!isOurs(container) || !mounts.some((mount) => mount.mountPath === TOKEN_PATH)) return container;
      for (let k = mounts.length - 1; k >= 0; k--) {
        if (mounts[k]!.mountPath === TOKEN_PATH) this.#op("remove", `/spec/initContainers/${i}/volumeMounts/${k}`);
      }
      return { ...container, volumeMounts: mounts.filter((mount) => mount.mountPath !== TOKEN_PATH) };
    });
  }

  mergeSecurity(
    field: (typeof CONTAINER_FIELDS)[number],
    index: number,
    missing: Partial<Container["securityContext"]>,
  ): void {
    const entries = Object.entries(missing ?? {});
    if (entries.length === 0) return;
    const all = [...(this.#spec[field] ?? [])] as Container[];
    const container = all[index]!;
    const path = `/spec/${field}/${index}/securityContext`;
    if (container.securityContext) entries.forEach(([key, value]) => this.#op("add", `${path}/${key}`, value));
    else this.#op("add", path, missing);
    all[index] = { ...container, securityContext: { ...container.securityContext, ...missing } };
    (this.#spec as unknown as Record<string, unknown>)[field] = all;
  }

  label(key: string, value: string): void {
    const present = this.pod.metadata?.labels ?? undefined;
    if (present?.[key] === value) return;
    if (this.pod.metadata === undefined) this.#op("add", "/metadata", { labels: { [key]: value } });
    else if (present === undefined) this.#op("add", "/metadata/labels", { [key]: value });
    else this.#op("add", `/metadata/labels/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, value);
    this.pod.metadata = { ...this.pod.metadata, labels: { ...present, [key]: value } };
  }

  /** Pod-level resources, where set, are a ceiling for all containers together: raised by what the proxy takes. */
  raiseResources(proxy: Container): void {
    const present = (this.#spec as { resources?: Container["resources"] }).resources;
    if (!present) return;
    const raised: Record<string, unknown> = { ...present };
    for (const part of ["requests", "limits"] as const) {
      if (!present[part]) continue;
      const values: Record<string, unknown> = { ...present[part] };
      for (const [key, ours] of Object.entries(proxy.resources?.[part] ?? {})) {
        if (values[key] !== undefined) values[key] = addQuantities(values[key] as string, ours as string);
      }
      raised[part] = values;
    }
    this.#op("add", "/spec/resources", raised);
    (this.#spec as { resources?: unknown }).resources = raised;
  }
}
