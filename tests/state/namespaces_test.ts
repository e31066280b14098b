import assert from "node:assert/strict";
import { objectTemplates, type Owned, type OwnedKind } from "../../lib/core/desired_state.ts";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { type Injection, PreparedTemplate } from "../../lib/core/injection.ts";
import { liqo } from "../../lib/core/names.ts";
import type { NamespaceFacts } from "../../lib/core/namespace_policy.ts";
import { NamespaceStore } from "../../lib/state/namespaces.ts";
import { FakeSource } from "../support/fake_api.ts";
import { testSettings } from "../support/settings.ts";

const settings = testSettings();
const templates = objectTemplates(settings);
const template = injectionTemplate(settings, templates);
const current = new PreparedTemplate(template);

function facts(name: string, labels: Record<string, string>, namespaceMap?: string): NamespaceFacts {
  return { name, uid: `uid-${name}`, labels, namespaceMap, terminating: false };
}

function setUp(injection: Injection = { current, accepted: [] }) {
  const namespaces = new FakeSource<NamespaceFacts>();
  const tenantsV0 = new FakeSource<NamespaceFacts>();
  const owned: Record<OwnedKind, FakeSource<Owned>> = { ConfigMap: new FakeSource(), NetworkPolicy: new FakeSource() };
  const store = new NamespaceStore({ namespaces, tenantsV0, owned }, settings, () => injection);
  const put = (kind: OwnedKind, namespace: string, changed: Partial<Owned> = {}) => {
    const name = kind === "ConfigMap" ? "data-space-envoy-config" : "data-space-network-policy";
    const object = { kind, namespace, uid: "u", resourceVersion: "1", managed: true, digest: templates[kind].digest };
    owned[kind].set(`${namespace}/${name}`, { ...object, ...changed });
  };
  const offload = (name: string, labels: Record<string, string> = {}) =>
    namespaces.set(name, facts(name, { [liqo.remoteClusterId]: "pharma", ...labels }, "liqo-tenant-pharma/hospital"));
  return { namespaces, tenantsV0, owned, store, put, offload };
}

const tenant = facts("liqo-tenant-pharma", { [liqo.remoteClusterId]: "pharma", [liqo.tenantNamespace]: "true" });

Deno.test("NamespaceStore.get() knows offloaded namespaces, and no tenant namespaces", () => {
  const { namespaces, store, offload } = setUp();
  namespaces.set(tenant.name, tenant);
  offload("trial");
  assert.equal(store.get(tenant.name), undefined);
  assert.equal(store.get("other"), undefined);
  assert.equal(store.get("trial")?.policy.consumer, "pharma");
});

Deno.test("NamespaceStore.get() is ready only when all objects are there as a known version makes them", async (t) => {
  const { namespaces, store, offload, put } = setUp({
    current,
    accepted: [
      new PreparedTemplate({ ...template, id: "before", objects: { ConfigMap: "old", NetworkPolicy: "old" } }),
    ],
  });
  namespaces.set(tenant.name, tenant);
  offload("trial");
  const ready = () => store.get("trial")?.ready;
  await t.step("nothing there", () => assert.equal(ready(), false));
  put("ConfigMap", "trial");
  await t.step("one missing", () => assert.equal(ready(), false));
  put("NetworkPolicy", "trial");
  await t.step("all there", () => assert.equal(ready(), true));
  put("ConfigMap", "trial", { digest: "changed" });
  await t.step("tampered with", () => assert.equal(ready(), false));
  put("ConfigMap", "trial", { digest: "old" });
  await t.step("of the version before", () => assert.equal(ready(), true));
  put("ConfigMap", "trial", { managed: false });
  await t.step("made by somebody else", () => assert.equal(ready(), false));
  put("ConfigMap", "trial");
  offload("trial", { "data-space/apply-netpol": "false" });
  put("NetworkPolicy", "trial", { digest: "changed" });
  await t.step("opted out of the one that is wrong", () => assert.equal(ready(), true));
  offload("trial", { "data-space/apply-webhook": "false" });
  await t.step("opted out of the proxy", () => assert.equal(ready(), false));
});

Deno.test("NamespaceStore takes tenant namespaces of Liqo v0 into account", () => {
  const { tenantsV0, store, offload } = setUp();
  offload("trial");
  assert.equal(store.get("trial")?.policy.consumer, "");
  const labels = { [liqo.clusterIdV0]: "pharma", [liqo.tenantNamespaceV0]: "true" };
  tenantsV0.set("liqo-tenant-pharma", facts("liqo-tenant-pharma", labels));
  assert.equal(store.get("trial")?.policy.consumer, "pharma");
  assert.equal(store.get("trial")?.policy.claimedConsumer, undefined);
});

Deno.test("NamespaceStore.subscribe() names every namespace whose view may have changed", () => {
  const { namespaces, tenantsV0, store, offload, put, owned } = setUp();
  offload("trial");
  put("ConfigMap", "orphaned");
  const names: string[] = [];
  const end = store.subscribe((name) => names.push(name));
  assert.deepEqual(names.splice(0).sort(), ["orphaned", "trial"]);
  put("NetworkPolicy", "trial");
  assert.deepEqual(names.splice(0), ["trial"]);
  namespaces.set(tenant.name, tenant);
  assert.deepEqual(names.splice(0), [tenant.name, "trial"]);
  tenantsV0.set(tenant.name, tenant);
  assert.deepEqual(names.splice(0), ["trial"]);
  owned.ConfigMap.delete("orphaned/data-space-envoy-config");
  assert.deepEqual(names.splice(0), ["orphaned"]);
  end();
  offload("more");
  assert.deepEqual(names, []);
});
