import assert from "node:assert/strict";
import { liqoInstalled } from "../../../lib/cli/check/liqo.ts";
import { brief, FakeCluster } from "./fake_cluster.ts";

Deno.test("check looks for Liqo's custom resources, those of v1 and of v0", async (t) => {
  const table: [name: string, groups: Record<string, string[]>, expected: RegExp][] = [
    ["none", {}, /^warn: Liqo is not installed/],
    [
      "v1",
      { "offloading.liqo.io": ["ShadowPod", "NamespaceMap", "Quota"] },
      /^ok: Liqo is installed: offloading\.liqo\.io\/v1beta1 has ShadowPod and NamespaceMap$/,
    ],
    [
      "v0",
      { "virtualkubelet.liqo.io": ["NamespaceMap", "ShadowPod"] },
      /^ok: Liqo is installed: virtualkubelet\.liqo\.io/,
    ],
    [
      "half",
      { "offloading.liqo.io": ["NamespaceMap"] },
      /^warn: Liqo's installation is not whole: .* has no ShadowPod$/,
    ],
  ];
  for (const [name, groups, expected] of table) {
    await t.step(name, async () => {
      const cluster = new FakeCluster();
      cluster.groups = groups;
      const found = brief(await cluster.run(liqoInstalled));
      assert.equal(found.length, 1);
      assert.match(found[0]!, expected);
    });
  }
});
