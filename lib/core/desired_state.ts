import { digest } from "./digest.ts";
import { renderEnvoyConfig } from "./envoy_config.ts";
import { labels, objects, PRODUCT } from "./names.ts";
import type { NamespacePolicy } from "./namespace_policy.ts";
import { networkPolicySpec } from "./network_policy.ts";
import type { Settings } from "./settings.ts";

/** Kinds of the objects that we keep in offloaded namespaces. */
export type OwnedKind = "ConfigMap" | "NetworkPolicy";

/** Name of our object of a kind. */
export const ownedNames: Readonly<Record<OwnedKind, string>> = {
  ConfigMap: objects.envoyConfig,
  NetworkPolicy: objects.networkPolicy,
};

/** What a comparison needs of an object that carries our name. */
export interface Owned {
  kind: OwnedKind;
  namespace: string;
  uid: string;
  resourceVersion: string;
  /** We have applied it; otherwise somebody else made it. */
  managed: boolean;
  /** Of all that we decide about it: labels, annotations, owners, finalizers, immutability, data or spec. */
  digest: string;
}

/** An object as it should be. */
export interface Desired {
  kind: OwnedKind;
  namespace: string;
  name: string;
  /** JSON of the whole object. */
  readonly body: string;
  /** The same in UTF-8, but for the namespace, which the path of a request tells: what is applied, the same bytes everywhere. */
  readonly applied: Uint8Array<ArrayBuffer>;
  /** Equal to `Owned.digest` where nothing differs. */
  digest: string;
}

/** Our objects but for their namespace: rendered once, since they are the same everywhere. */
export type ObjectTemplates = Readonly<
  Record<OwnedKind, { head: string; tail: string; applied: Uint8Array<ArrayBuffer>; digest: string }>
>;

/** Shape that a digest is taken of: an object of the API, whole. */
interface StoredObject {
  metadata?: {
    name?: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: unknown[];
    finalizers?: string[];
    managedFields?: { manager?: string; operation?: string }[];
  };
  immutable?: boolean;
  data?: unknown;
  binaryData?: unknown;
  spec?: unknown;
}

/** Digest of what we decide about an object. What somebody else added to it changes the digest too. */
export function digestOf(object: StoredObject): string {
  const { labels, annotations, ownerReferences, finalizers } = object.metadata ?? {};
  const { immutable, data, binaryData, spec } = object;
  return digest({ labels, annotations, ownerReferences, finalizers, immutable, data, binaryData, spec });
}

/** Keeps what a comparison needs; undefined for an object of another name. */
export function ownedFacts(kind: OwnedKind, object: StoredObject): Owned | undefined {
  const meta = object.metadata ?? {};
  if (meta.name !== ownedNames[kind]) return undefined;
  return {
    kind,
    namespace: meta.namespace ?? "",
    uid: meta.uid ?? "",
    resourceVersion: meta.resourceVersion ?? "",
    managed: (meta.managedFields ?? []).some((f) => f.manager === PRODUCT && f.operation === "Apply"),
    digest: digestOf(object),
  };
}

/** Renders our objects for these settings. */
export function objectTemplates(settings: Settings): ObjectTemplates {
  return {
    ConfigMap: template("v1", "ConfigMap", { data: renderEnvoyConfig() }),
    NetworkPolicy: template("networking.k8s.io/v1", "NetworkPolicy", { spec: networkPolicySpec(settings) }),
  };
}

function template(
  apiVersion: string,
  kind: OwnedKind,
  content: { data: unknown } | { spec: unknown },
): ObjectTemplates[OwnedKind] {
  const ours = { [labels.managedBy]: PRODUCT };
  const mark = "\u0000";
  const json = (namespace: string | undefined): string =>
    JSON.stringify({ apiVersion, kind, metadata: { name: ownedNames[kind], namespace, labels: ours }, ...content });
  const [head, tail] = json(mark).split(JSON.stringify(mark));
  return {
    head: head!,
    tail: tail!,
    applied: new TextEncoder().encode(json(undefined)),
    digest: digestOf({ metadata: { labels: ours }, ...content }),
  };
}

/** The objects that a namespace should have; none if it is not offloaded (`undefined`) or being deleted. */
export function desired(policy: NamespacePolicy | undefined, templates: ObjectTemplates): Desired[] {
  if (policy === undefined || policy.terminating) return [];
  const kinds: OwnedKind[] = [];
  if (policy.proxy) kinds.push("ConfigMap");
  if (policy.netpol) kinds.push("NetworkPolicy");
  return kinds.map((kind) => {
    const { head, tail, applied, digest } = templates[kind];
    return {
      kind,
      namespace: policy.name,
      name: ownedNames[kind],
      get body(): string {
        return head + JSON.stringify(policy.name) + tail;
      },
      applied,
      digest,
    };
  });
}

/** Why a step of the plan is taken. */
export const becauses = ["absent", "outdated", "drift", "foreign", "opted-out", "not-offloaded"] as const;

/** An element of `becauses`. */
export type Because = (typeof becauses)[number];

/** Those of `becauses` that are somebody else's doing. */
export const drifts: readonly Because[] = ["drift", "foreign"];

/** A step towards what is desired. */
export type PlanStep =
  | { do: "apply"; desired: Desired; owned: Owned | undefined; because: "absent" | "outdated" | "drift" | "foreign" }
  | { do: "remove"; owned: Owned; because: "opted-out" | "not-offloaded" };

/**
 * Steps from what is there to what should be; none where nothing differs, and none in a namespace that is being deleted.
 *
 * What somebody else made under our name is taken over where we want an object, and left alone where we want none. `earlier` are the
 * digests of objects as the version before made them: replacing those is an upgrade, not a repair.
 */
export function plan(
  policy: NamespacePolicy | undefined,
  owned: readonly Owned[],
  templates: ObjectTemplates,
  earlier: readonly string[] = [],
): PlanStep[] {
  if (policy?.terminating) return [];
  const wanted = desired(policy, templates);
  const steps: PlanStep[] = [];
  for (const want of wanted) {
    const have = owned.find((o) => o.kind === want.kind);
    if (have === undefined) steps.push({ do: "apply", desired: want, owned: undefined, because: "absent" });
    else if (!have.managed) steps.push({ do: "apply", desired: want, owned: have, because: "foreign" });
    else if (have.digest !== want.digest) {
      const because = earlier.includes(have.digest) ? "outdated" : "drift";
      steps.push({ do: "apply", desired: want, owned: have, because });
    }
  }
  for (const have of owned) {
    if (!have.managed || wanted.some((want) => want.kind === have.kind)) continue;
    steps.push({ do: "remove", owned: have, because: policy === undefined ? "not-offloaded" : "opted-out" });
  }
  return steps;
}
