import assert from "node:assert/strict";
import { keptObjects } from "../../../lib/cli/check/kept_objects.ts";
import { publish } from "../../../lib/core/contract.ts";
import { brief, type FakeCluster, healthyCluster, injection, type Loose } from "./fake_cluster.ts";

const CONFIG = "data-space-envoy-config";
const POLICY = "data-space-network-policy";

Deno.test("check finds what the controller would have to do", async (t) => {
  const change = (name: string, change: (object: Loose) => void) => (cluster: FakeCluster) =>
    cluster.change(name === CONFIG ? "ConfigMap" : "NetworkPolicy", name, change);
  const label = (labels: Record<string, string>) => (cluster: FakeCluster) =>
    cluster.change("Namespace", "trial", ({ metadata }) => Object.assign(metadata.labels, labels));
  const table: [name: string, change: (cluster: FakeCluster) => void, expected: string[]][] = [
    ["nothing", () => {}, ["ok: 2 objects in 1 offloaded namespace: each as it should be"]],
    ["missing", (c) => c.drop("NetworkPolicy"), [`fail: NetworkPolicy "${POLICY}" is missing in 1 namespace: trial`]],
    ["changed", change(CONFIG, ({ data }) => data["lds.json"] = "{}"), [
      `fail: ConfigMap "${CONFIG}" was changed by somebody else in 1 namespace: trial`,
    ]],
    ["a key more", change(CONFIG, ({ data }) => data.more = "x"), [
      `fail: ConfigMap "${CONFIG}" was changed by somebody else in 1 namespace: trial`,
    ]],
    ["made by somebody else", change(POLICY, ({ metadata }) => delete metadata.managedFields), [
      `fail: NetworkPolicy "${POLICY}" was not made by us in 1 namespace: trial`,
    ]],
    ["left over after an opt-out", label({ "data-space/apply-netpol": "false" }), [
      `warn: NetworkPolicy "${POLICY}" is left over where the namespace opts out in 1 namespace: trial`,
    ]],
    ["left over after the offloading", (c) => c.drop("Namespace", "trial"), [
      `warn: ConfigMap "${CONFIG}" is left over where the namespace is not offloaded any more in 1 namespace: trial`,
      `warn: NetworkPolicy "${POLICY}" is left over where the namespace is not offloaded any more in 1 namespace: trial`,
    ]],
    ["on its way out", (c) => {
      c.drop("NetworkPolicy");
      c.change("Namespace", "trial", ({ metadata }) => metadata.deletionTimestamp = "2026-11-24T12:00:00Z");
    }, ["ok: 1 object in 1 offloaded namespace: each as it should be"]],
    ["many at once", (c) => {
      for (let i = 0; i < 9; i++) c.offload(`n-${i}`);
      c.drop("ConfigMap", CONFIG);
    }, [`fail: ConfigMap "${CONFIG}" is missing in 10 namespaces: n-0, n-1, n-2, n-3, n-4 and 5 more`]],
  ];
  for (const [name, change, expected] of table) {
    await t.step(name, async () => {
      const cluster = await healthyCluster();
      change(cluster);
      const found = await cluster.run(keptObjects);
      assert.deepEqual(brief(found), expected);
      for (const { level, remedy } of found) assert.equal(remedy === undefined, level === "ok");
    });
  }
});

Deno.test("check takes what replicas have published for what should be", async (t) => {
  const other = { ...injection, id: "other", objects: { ConfigMap: "c", NetworkPolicy: "n" } };
  const contract = (...templates: (typeof injection)[]) => (cluster: FakeCluster) =>
    cluster.change("ConfigMap", "data-spacer-contract", (object) => {
      object.data = templates.reduceRight<Loose>(
        (data, template) => publish(data, template, { now: 0 }) ?? data,
        undefined,
      );
    });
  const skew = "warn: The running replicas configure Envoy in another way than this command, version 0.1.0, would";
  const table: [name: string, change: (cluster: FakeCluster) => void, expected: (string | RegExp)[]][] = [
    ["as the version before made them", contract(other, injection), [
      skew,
      `warn: ConfigMap "${CONFIG}" is as the version before made it in 1 namespace: trial`,
      `warn: NetworkPolicy "${POLICY}" is as the version before made it in 1 namespace: trial`,
    ]],
    ["as no version makes them", contract(other), [
      skew,
      `fail: ConfigMap "${CONFIG}" was changed by somebody else in 1 namespace: trial`,
      `fail: NetworkPolicy "${POLICY}" was changed by somebody else in 1 namespace: trial`,
    ]],
    ["nothing published", (c) => c.drop("ConfigMap", "data-spacer-contract"), [
      'fail: No replica has said what it injects (ConfigMap "data-spacer/data-spacer-contract" is missing or empty)',
      "ok: 2 objects in 1 offloaded namespace: each as it should be",
    ]],
  ];
  for (const [name, change, expected] of table) {
    await t.step(name, async () => {
      const cluster = await healthyCluster();
      change(cluster);
      assert.deepEqual(brief(await cluster.run(keptObjects)), expected);
    });
  }
});

Deno.test("check compares the NetworkPolicy with the Deployment's flags, not with its own", async () => {
  const cluster = await healthyCluster();
  cluster.settings = { ...cluster.settings, dnsNamespace: "elsewhere" };
  cluster.drop("ConfigMap", "data-spacer-contract");
  assert.match(brief(await cluster.run(keptObjects))[1]!, /^ok: 2 objects in 1 offloaded namespace/);
});
