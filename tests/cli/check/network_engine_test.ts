import assert from "node:assert/strict";
import { networkEngine } from "../../../lib/cli/check/network_engine.ts";
import { brief, FakeCluster, type Loose } from "./fake_cluster.ts";

const set = (
  name: string,
  containers: Loose[] = [{ name: "main" }],
  status = { numberReady: 3, desiredNumberScheduled: 3 },
) => ({
  metadata: { namespace: "kube-system", name },
  spec: { template: { spec: { containers } } },
  status,
});

Deno.test("check names what enforces NetworkPolicy, and says plainly where it cannot tell", async (t) => {
  const flag = (...args: string[]) => [{ name: "main", args }];
  const table: [name: string, change: (cluster: FakeCluster) => void, expected: RegExp[]][] = [
    ["Calico", (c) => c.put("DaemonSet", set("calico-node")), [
      /^ok: Calico \(DaemonSet kube-system\/calico-node\) enforces NetworkPolicy, ready on 3 of 3 nodes$/,
    ]],
    [
      "Cilium that is not ready everywhere",
      (c) => c.put("DaemonSet", set("cilium", [], { numberReady: 1, desiredNumberScheduled: 3 })),
      [
        /^warn: Cilium .* ready on 1 of 3 nodes$/,
      ],
    ],
    ["Flannel alone", (c) => c.put("DaemonSet", set("kube-flannel-ds")), [
      /^fail: Nothing enforces NetworkPolicy: Flannel \(DaemonSet kube-system\/kube-flannel-ds\) does not/,
    ]],
    [
      "Flannel with a policy container",
      (c) => c.put("DaemonSet", set("kube-flannel-ds", [{ name: "kube-network-policies" }])),
      [/^ok: Flannel/],
    ],
    ["Flannel beside Calico", (c) => ["kube-flannel-ds", "calico-node"].forEach((n) => c.put("DaemonSet", set(n))), [
      /^ok: Calico/,
    ]],
    ["Amazon's, policies off", (c) => c.put("DaemonSet", set("aws-node", flag("--enable-network-policy=false"))), [
      /^fail: .* Amazon VPC CNI/,
    ]],
    ["Amazon's, policies on", (c) => c.put("DaemonSet", set("aws-node", flag("--enable-network-policy=true"))), [
      /^ok: Amazon VPC CNI/,
    ]],
    ["kube-router, firewall off", (c) => c.put("DaemonSet", set("kube-router", flag("--run-firewall=false"))), [
      /^fail: .* kube-router/,
    ]],
    ["kindnet, which does not say", (c) => c.put("DaemonSet", set("kindnet")), [/^warn: Cannot tell .*kindnet/]],
    ["others", (c) => c.put("DaemonSet", set("node-exporter")), [
      /^warn: Cannot tell whether anything enforces NetworkPolicy here: no engine that we know runs$/,
    ]],
    [
      "k3s",
      (c) => c.put("Node", { metadata: { name: "n" }, status: { nodeInfo: { kubeletVersion: "v1.36.3+k3s1" } } }),
      [
        /^warn: Cannot tell .*k3s/,
      ],
    ],
    ["custom resources without DaemonSet", (c) => void (c.groups["crd.projectcalico.org"] = []), [
      /^warn: Cannot tell .* only traces of Calico \(custom resources of crd\.projectcalico\.org\)$/,
    ]],
    [
      "annotations of a node",
      (c) =>
        c.put("Node", { metadata: { name: "n", annotations: { "flannel.alpha.coreos.com/backend-type": "vxlan" } } }),
      [
        /^warn: Cannot tell .* only traces of Flannel \(annotations of node n\)$/,
      ],
    ],
  ];
  for (const [name, change, expected] of table) {
    await t.step(name, async () => {
      const cluster = new FakeCluster();
      change(cluster);
      const found = await cluster.run(networkEngine);
      assert.equal(found.length, expected.length);
      brief(found).forEach((text, i) => assert.match(text, expected[i]!));
      for (const { level, remedy } of found) assert.equal(remedy === undefined, level === "ok");
    });
  }
});
