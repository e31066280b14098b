import assert from "node:assert/strict";
import { apiServer, kubelets } from "../../../lib/cli/check/versions.ts";
import { brief, FakeCluster } from "./fake_cluster.ts";

Deno.test("check says whether the API server is new enough", async (t) => {
  const table: [version: string, expected: RegExp][] = [
    ["v1.36.3", /^ok: The API server is Kubernetes v1\.36\.3$/],
    ["v1.30.0", /^ok: /],
    ["v1.30.14-eks-1-30-41", /^ok: /],
    ["v2.0.0", /^ok: /],
    ["v1.29.15", /^fail: The API server is Kubernetes v1\.29\.15; 1\.30 is the oldest that is supported$/],
    ["v1.9.0", /^fail: /],
    ["unknown", /^warn: Cannot tell: .*"unknown"$/],
  ];
  for (const [version, expected] of table) {
    await t.step(version, async () => {
      const cluster = new FakeCluster();
      cluster.version = version;
      const found = await cluster.run(apiServer);
      assert.equal(found.length, 1);
      assert.match(brief(found)[0]!, expected);
    });
  }
});

Deno.test("check says which kubelets are too old, and passes over nodes that Liqo makes up", async () => {
  const cluster = new FakeCluster();
  const node = (name: string, kubeletVersion: string, labels = {}) =>
    cluster.put("Node", { metadata: { name, labels }, status: { nodeInfo: { kubeletVersion } } });
  assert.deepEqual(brief(await cluster.run(kubelets)), ["warn: The cluster has no nodes: no pod can run"]);
  for (let i = 0; i < 7; i++) node(`new-${i}`, "v1.36.3");
  node("old", "v1.29.1");
  node("liqo-bank", "v1.20.0", { "liqo.io/type": "virtual-node" });
  assert.deepEqual(brief(await cluster.run(kubelets)), [
    "ok: The kubelet of 7 nodes (new-0, new-1, new-2, new-3, new-4 and 2 more) is v1.36.3",
    "fail: The kubelet of 1 node (old) is v1.29.1; 1.30 is the oldest that is supported",
  ]);
});
