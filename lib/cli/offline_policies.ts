import type { Namespace } from "kubernetes-types/core/v1.d.ts";
import { liqo } from "../core/names.ts";
import {
  type NamespaceFacts,
  namespaceFacts,
  type NamespacePolicy,
  namespacePolicy,
  roleOf,
  tenantNameOf,
} from "../core/namespace_policy.ts";
import type { Settings } from "../core/settings.ts";

/** Policies of namespaces without a cluster. */
export interface OfflinePolicies {
  /** Undefined: the namespace is not offloaded. */
  of(namespace: string): NamespacePolicy | undefined;
  /** What the operator must know of the namespaces in the stream, one line each. */
  warnings: string[];
}

/**
 * Policies from the Namespace documents that there are; any other namespace is taken for one that `consumer` offloads. A tenant
 * namespace that is not among the documents is taken to fit.
 */
export function offlinePolicies(namespaces: Namespace[], settings: Settings, consumer: string): OfflinePolicies {
  const known = new Map(namespaces.map(namespaceFacts).map((facts) => [facts.name, facts]));
  const of = (name: string) => {
    const facts = known.get(name) ?? assumed(name, consumer);
    return roleOf(facts.labels) === "offloaded" ? namespacePolicy(facts, tenantOf(facts, known), settings) : undefined;
  };
  const warnings = [...known.keys()].flatMap((name) =>
    (of(name)?.findings ?? []).map(({ message }) => `Warning: Namespace/${name}: ${message}`)
  );
  return { of, warnings };
}

function assumed(name: string, consumer: string): NamespaceFacts {
  return { name, uid: "", labels: { [liqo.remoteClusterId]: consumer }, namespaceMap: undefined, terminating: false };
}

function tenantOf(facts: NamespaceFacts, known: Map<string, NamespaceFacts>): NamespaceFacts {
  const name = tenantNameOf(facts);
  const tenant = name === undefined ? undefined : known.get(name);
  if (tenant !== undefined) return tenant;
  const labels = {
    [liqo.tenantNamespace]: "true",
    [liqo.remoteClusterId]: facts.labels[liqo.remoteClusterId] ?? "",
  };
  return { name: name ?? "", uid: "", labels, namespaceMap: undefined, terminating: false };
}
