import assert from "node:assert/strict";
import { namespaces } from "../../../lib/cli/check/namespaces.ts";
import { reasons } from "../../../lib/core/reasons.ts";
import { brief, FakeCluster, healthyCluster } from "./fake_cluster.ts";

Deno.test("check counts offloaded namespaces and names those that opt out", async () => {
  const empty = new FakeCluster();
  assert.deepEqual(brief(await empty.run(namespaces)), ["ok: There are 0 offloaded namespaces"]);
  const cluster = await healthyCluster();
  cluster.offload("open", { "data-space/apply-webhook": "false", "data-space/apply-netpol": "false" });
  cluster.offload("plain", { "data-space/apply-webhook": "false" });
  assert.deepEqual(brief(await cluster.run(namespaces)), [
    "ok: There are 3 offloaded namespaces; without proxy: open, plain; without NetworkPolicy: open",
  ]);
});

Deno.test("check repeats what events say of namespaces, with the same remedies", async () => {
  const cluster = await healthyCluster();
  cluster.offload("spoofed", { "liqo.io/remote-cluster-id": "bank", "data-space/apply-netpol": "false" });
  cluster.offload("guarded", { "pod-security.kubernetes.io/enforce": "baseline" });
  for (let i = 0; i < 25; i++) cluster.offload(`odd-${i}`, { "data-space/pod-profile": "free" });
  const found = await cluster.run(namespaces);
  const texts = brief(found);
  assert.equal(texts[0], "ok: There are 28 offloaded namespaces"); // a spoofed one cannot opt out
  assert.match(texts[1]!, /^warn: Namespace "spoofed": Label liqo\.io\/remote-cluster-id claims consumer "bank"/);
  assert.equal(found[1]!.remedy, reasons.ConsumerMismatch.remedy);
  assert.match(texts[2]!, /^warn: Namespace "guarded": .*enforce "baseline" refuses our init container/);
  assert.equal(texts.length, 3 + 20 + 1);
  assert.match(texts.at(-1)!, /^warn: InvalidLabel in 5 more namespaces: odd-20, odd-21, odd-22, odd-23, odd-24$/);
});

Deno.test("check finds the tenant namespaces of Liqo v0 too", async () => {
  const cluster = await healthyCluster();
  cluster.drop("Namespace", "liqo-tenant-pharma");
  assert.match(brief(await cluster.run(namespaces))[1]!, /leads to no tenant namespace/);
  const labels = { "discovery.liqo.io/tenant-namespace": "true", "discovery.liqo.io/cluster-id": "pharma" };
  cluster.put("Namespace", { metadata: { name: "liqo-tenant-pharma", labels } });
  assert.equal((await cluster.run(namespaces)).length, 1);
});
