import { labels, liqo } from "./names.ts";
import type { Finding } from "./reasons.ts";
import { MAX_UID } from "./setting_values.ts";
import type { Settings } from "./settings.ts";

/** What we keep of a Namespace. */
export interface NamespaceFacts {
  name: string;
  uid: string;
  /** Only those of Liqo, of ours and of Pod Security. */
  labels: Readonly<Record<string, string>>;
  /** Annotation `liqo.io/managed-by-namespace-map`. */
  namespaceMap: string | undefined;
  /** It is being deleted. */
  terminating: boolean;
}

/** What the pod rules leave to the consumer, from strict to loose. */
export type Profile = "restricted" | "root" | "observed";

const PROFILES: readonly string[] = ["restricted", "root", "observed"] satisfies Profile[];

/** What the provider's labels, checked against Liqo's, ask for in an offloaded namespace. */
export interface NamespacePolicy {
  name: string;
  uid: string;
  terminating: boolean;
  /** Cluster id of the consumer, as the tenant namespace has it; empty if no tenant namespace vouches for it. */
  consumer: string;
  /** The id that the namespace's label claims, if it is another. Then the strictest policy is in force. */
  claimedConsumer: string | undefined;
  /** Envoy's ConfigMap is kept, and pods are injected. */
  proxy: boolean;
  /** The NetworkPolicy is kept. */
  netpol: boolean;
  profile: Profile;
  /** uid of containers that name none. */
  runAsUser: number;
  /** RuntimeClasses that pods may ask for. */
  runtimeClasses: readonly string[];
  /** PriorityClasses that pods may ask for. */
  priorityClasses: readonly string[];
  /** Extended resources that pods may ask for. */
  extendedResources: readonly string[];
  /** What the operator must know of the namespace itself. */
  findings: Finding[];
}

/** Settings that the policy of a namespace rests on. */
export type PolicySettings = Pick<
  Settings,
  "defaultRunAsUser" | "proxyUids" | "runtimeClasses" | "priorityClasses" | "extendedResources"
>;

/** What a Namespace is to us. */
export type NamespaceRole = "offloaded" | "tenant" | "other";

/** Keeps what we need of a Namespace object. */
export function namespaceFacts(ns: {
  metadata?: {
    name?: string;
    uid?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    deletionTimestamp?: string;
  };
}): NamespaceFacts {
  const meta = ns.metadata ?? {};
  const kept = Object.entries(meta.labels ?? {}).filter(([key]) =>
    key.startsWith("data-space/") || key.includes("liqo.io/") || key === labels.podSecurityEnforce
  );
  return {
    name: meta.name ?? "",
    uid: meta.uid ?? "",
    labels: Object.fromEntries(kept),
    namespaceMap: meta.annotations?.[liqo.namespaceMap],
    terminating: meta.deletionTimestamp !== undefined,
  };
}

/** Tells offloaded from tenant namespaces: since Liqo v1.0 both have the remote cluster's id (Liqo v1.2, seen). */
export function roleOf(labels: Readonly<Record<string, string>>): NamespaceRole {
  if (liqo.tenantNamespace in labels || liqo.tenantNamespaceV0 in labels) return "tenant";
  return liqo.remoteClusterId in labels ? "offloaded" : "other";
}

/** The tenant namespace that Liqo names as the origin of an offloaded one, by its annotation. */
export function tenantNameOf(facts: NamespaceFacts): string | undefined {
  const [tenant, map, ...more] = facts.namespaceMap?.split("/") ?? [];
  return tenant && map && more.length === 0 ? tenant : undefined;
}

/** Cluster id on a tenant namespace, in the labels of Liqo v1 or v0. */
function tenantConsumer(tenant: NamespaceFacts | undefined): string | undefined {
  if (tenant === undefined || roleOf(tenant.labels) !== "tenant") return undefined;
  return tenant.labels[liqo.remoteClusterId] ?? tenant.labels[liqo.clusterIdV0];
}

/**
 * The policy of an offloaded namespace.
 *
 * A consumer can have namespaces made under another's cluster id (seen with Liqo v1.2), but not forge the annotation that names the tenant
 * namespace they come from. Where the two differ, opt-outs and relaxations are ignored.
 */
export function namespacePolicy(
  facts: NamespaceFacts,
  tenant: NamespaceFacts | undefined,
  settings: PolicySettings,
): NamespacePolicy {
  const findings: Finding[] = [];
  const claimed = facts.labels[liqo.remoteClusterId] ?? "";
  const vouched = tenantConsumer(tenant);
  const mismatch = vouched !== claimed;
  if (mismatch) {
    const origin = facts.namespaceMap === undefined
      ? `it lacks the annotation ${liqo.namespaceMap}`
      : `its annotation ${liqo.namespaceMap} "${facts.namespaceMap}" leads to ${
        vouched === undefined ? "no tenant namespace" : `the tenant namespace of "${vouched}"`
      }`;
    findings.push({
      reason: "ConsumerMismatch",
      message:
        `Label ${liqo.remoteClusterId} claims consumer "${claimed}", but ${origin}: the strictest policy is in force`,
    });
  }
  const optedOut = (key: string): boolean => {
    const value = facts.labels[key];
    if (value !== undefined && value !== "true" && value !== "false") {
      findings.push({
        reason: "InvalidLabel",
        message: `Label ${key} "${value}" does not opt out: only "false" does, and "true" says that it does not`,
      });
    }
    return value === "false";
  };
  // The API server itself leaves such namespaces out of the webhook, so this opt-out is not ours to ignore.
  const proxy = !optedOut(labels.applyWebhook);
  const netpol = !optedOut(labels.applyNetpol) || mismatch;
  const enforced = facts.labels[labels.podSecurityEnforce];
  if (proxy && enforced !== undefined && enforced !== "privileged") {
    findings.push({
      reason: "PodSecurityRefusesInjection",
      message: `Label ${labels.podSecurityEnforce} "${enforced}" refuses our init container, and so every pod: ` +
        `it must be "privileged"; the pod rules here are stricter for the consumer`,
    });
  }
  return {
    name: facts.name,
    uid: facts.uid,
    terminating: facts.terminating,
    consumer: vouched ?? "",
    claimedConsumer: mismatch ? claimed : undefined,
    proxy,
    netpol,
    profile: mismatch ? "restricted" : profileOf(facts, findings),
    runAsUser: mismatch ? settings.defaultRunAsUser : runAsUserOf(facts, settings, findings),
    runtimeClasses: settings.runtimeClasses,
    priorityClasses: settings.priorityClasses,
    extendedResources: settings.extendedResources,
    findings,
  };
}

function profileOf(facts: NamespaceFacts, findings: Finding[]): Profile {
  const value = facts.labels[labels.podProfile];
  if (value === "observed") {
    findings.push({
      reason: "RedirectAdvisory",
      message:
        `Label ${labels.podProfile} "observed" lets a process take the proxy's user and go around it: only NetworkPolicy binds`,
    });
  }
  if (value === undefined || PROFILES.includes(value)) return (value ?? "restricted") as Profile;
  findings.push({
    reason: "InvalidLabel",
    message: `Label ${labels.podProfile} "${value}" is none of ${PROFILES.join(", ")}: "restricted" is in force`,
  });
  return "restricted";
}

function runAsUserOf(
  facts: NamespaceFacts,
  settings: PolicySettings,
  findings: Finding[],
): number {
  const value = facts.labels[labels.runAsUser];
  if (value === undefined) return settings.defaultRunAsUser;
  const uid = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  const { first, last } = settings.proxyUids;
  if (uid >= 1 && uid <= MAX_UID && (uid < first || uid > last)) return uid;
  findings.push({
    reason: "InvalidLabel",
    message: `Label ${labels.runAsUser} "${value}" is not a uid from 1 to ${MAX_UID} outside ${first}-${last}: ` +
      `${settings.defaultRunAsUser} is in force`,
  });
  return settings.defaultRunAsUser;
}
