import assert from "node:assert/strict";
import type { Deployment } from "kubernetes-types/apps/v1.d.ts";
import type { ClusterRole, PolicyRule, Role } from "kubernetes-types/rbac/v1.d.ts";
import { exception, objects } from "../lib/core/names.ts";
import { options } from "../lib/core/options.ts";
import { parseSettings } from "../lib/core/parse_settings.ts";
import { resources } from "../lib/kube/resources.ts";
import { all, BASE, documents, type Manifest, only } from "./support/manifests.ts";

const EVICT = "deploy/components/recreate-uninjected";
const DELETE = "deploy/components/recreate-uninjected-all";
const settings = parseSettings({});

Deno.test("no right is a wildcard, and every one is for a kind that the program knows", () => {
  const known = Object.values(resources).map(({ apiVersion, plural }) => `${apiVersion} ${plural}`);
  for (const { role, rule } of rules("deploy")) {
    const at = `${role.kind} ${role.metadata.name}`;
    for (const field of ["verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"] as const) {
      assert.ok(!(rule[field] ?? []).some((text) => text.includes("*")), at);
    }
    assert.equal(rule.nonResourceURLs, undefined, at);
    for (const resource of rule.resources!) {
      const plural = resource.split("/")[0]!;
      const group = rule.apiGroups![0];
      const found = known.some((kind) => kind === (group === "" ? `v1 ${plural}` : `${group}/v1 ${plural}`));
      assert.ok(found && rule.apiGroups!.length === 1, `${at}: ${group} ${resource}`);
    }
  }
});

Deno.test("what the base may write has a name, but where a right to create cannot have one", () => {
  const names = [...Object.values(objects), settings.webhookConfiguration];
  const unnamed: string[] = [];
  for (const { role, rule } of rules(BASE)) {
    for (const name of rule.resourceNames ?? []) assert.ok(names.includes(name), name);
    const writes = rule.verbs.filter((verb) => !["get", "list", "watch"].includes(verb));
    if (writes.length === 0 || rule.resourceNames) continue;
    unnamed.push(`${role.metadata.namespace ?? "everywhere"}: ${writes.join(",")} ${rule.resources!.join(",")}`);
  }
  assert.deepEqual(unnamed.sort(), [
    "data-spacer: create configmaps",
    "data-spacer: create leases",
    "data-spacer: create secrets",
    "default: create,patch events",
  ]);
});

Deno.test("Secrets and Leases are ours in our own namespace only, and no Namespace is ever written", () => {
  for (const { role, rule } of rules("deploy")) {
    if (rule.resources!.some((resource) => ["secrets", "leases"].includes(resource))) {
      assert.equal(role.metadata.namespace, settings.namespace);
    }
    if (rule.resources!.includes("namespaces")) assert.deepEqual(rule.verbs, ["get", "list", "watch"]);
  }
});

Deno.test("pods are evicted or deleted only where the flag comes with the right", () => {
  const rights = (folder: string) =>
    rules(folder).flatMap(({ rule }) => rule.resources!.flatMap((r) => rule.verbs.map((verb) => `${verb} ${r}`)));
  assert.deepEqual(rights(BASE).filter((right) => right.includes(" pods")), ["list pods"]);
  assert.deepEqual(rights(EVICT), ["create pods/eviction"]);
  assert.deepEqual(rights(DELETE), ["delete pods"]);
  const flag = (folder: string) => only<Deployment>("Deployment", folder).spec!.template.spec!.containers[0]!.env;
  assert.deepEqual(flag(EVICT), [{ name: options.recreateUninjected.env, value: "controlled" }]);
  assert.deepEqual(flag(DELETE), [{ name: options.recreateUninjected.env, value: "all" }]);
  const { components } = documents.get(`${DELETE}/kustomization.yaml`)![0] as unknown as { components: string[] };
  assert.deepEqual(components, ["../recreate-uninjected"]);
});

/** What our ServiceAccount may do. */
function rules(folder: string): { role: Role & Manifest; rule: PolicyRule }[] {
  const roles = [...all<Role>("Role", folder), ...all<ClusterRole>("ClusterRole", folder)] as (Role & Manifest)[];
  return roles.filter(({ metadata }) => metadata.name !== exception.role).flatMap((role) =>
    role.rules!.map((rule) => ({ role, rule }))
  );
}
