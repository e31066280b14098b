import assert from "node:assert/strict";
import { ownNamespace } from "../../../lib/cli/check/own_namespace.ts";
import { brief, FakeCluster } from "./fake_cluster.ts";

Deno.test("check fails where our namespace was made by Liqo, and warns where it can still be", async (t) => {
  const table: [name: string, labels: Record<string, string> | undefined, expected: RegExp][] = [
    [
      "made by the provider",
      { "pod-security.kubernetes.io/enforce": "restricted" },
      /^ok: Namespace "data-spacer" was not made by Liqo$/,
    ],
    [
      "made for a consumer",
      { "liqo.io/remote-cluster-id": "bank" },
      /^fail: Namespace "data-spacer" was made by Liqo for consumer "bank"/,
    ],
    ["absent", undefined, /^warn: Namespace "data-spacer" is not there/],
  ];
  for (const [name, labels, expected] of table) {
    await t.step(name, async () => {
      const cluster = new FakeCluster();
      if (labels) cluster.put("Namespace", { metadata: { name: "data-spacer", labels } });
      const found = await cluster.run(ownNamespace);
      assert.match(brief(found).join("\n"), expected);
      if (labels === undefined) assert.match(found[0]!.remedy!, /kubectl create namespace data-spacer$/);
    });
  }
});
