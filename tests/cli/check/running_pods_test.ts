import assert from "node:assert/strict";
import { runningPods } from "../../../lib/cli/check/running_pods.ts";
import { injectionTemplate } from "../../../lib/core/injected.ts";
import { testSettings } from "../../support/settings.ts";
import { brief, type FakeCluster, healthyCluster, injected, type Loose } from "./fake_cluster.ts";

const plain = (name: string, namespace = "trial"): Loose => ({
  metadata: { name, namespace },
  spec: { containers: [{ name: "app", image: "localhost/app:1" }] },
  status: { phase: "Running" },
});
const before = injectionTemplate(testSettings({ proxyImage: "docker.io/envoyproxy/envoy:distroless-v1.39.0" }));

Deno.test("check finds pods without the proxy, or with an older one", async (t) => {
  const table: [name: string, pods: Loose[], expected: RegExp[]][] = [
    ["no pod", [], [/^ok: No pod runs in an offloaded namespace$/]],
    ["injected", [injected(plain("a")), injected(plain("b"))], [
      /^ok: 2 running pods, all with the proxy that new pods get$/,
    ]],
    ["without", [plain("a"), injected(plain("b"))], [/^fail: 1 pod without the proxy: trial\/a$/]],
    ["with an older one", [injected(plain("a"), before), injected(plain("b"))], [
      /^warn: 1 pod with another proxy than new pods get, most likely an older one: trial\/a$/,
    ]],
    ["ended, or on their way out", [
      { ...plain("a"), status: { phase: "Succeeded" } },
      { ...plain("b"), status: { phase: "Failed" } },
      { ...plain("c"), metadata: { ...plain("c").metadata, deletionTimestamp: "2026-11-24T12:00:00Z" } },
    ], [/^ok: No pod runs/]],
    ["elsewhere", [plain("a", "home")], [/^ok: No pod runs/]],
    ["where the namespace opts out", [plain("a", "open")], [/^ok: No pod runs/]],
    ["many", Array.from({ length: 8 }, (_, i) => plain(`p-${i}`)), [
      /^fail: 8 pods without the proxy: trial\/p-0, .*trial\/p-4 and 3 more$/,
    ]],
  ];
  for (const [name, pods, expected] of table) {
    await t.step(name, async () => {
      const cluster: FakeCluster = await healthyCluster();
      cluster.offload("open", { "data-space/apply-webhook": "false" });
      for (const pod of pods) cluster.put("Pod", pod);
      const found = brief(await cluster.run(runningPods));
      assert.equal(found.length, expected.length, found.join("\n"));
      found.forEach((text, i) => assert.match(text, expected[i]!));
    });
  }
});

Deno.test("check judges a pod's copies of our containers as the API server stores them", async () => {
  const cluster = await healthyCluster();
  const pod: Loose = injected(plain("a"));
  for (const container of pod.spec.initContainers) {
    container.terminationMessagePath = "/dev/termination-log";
    container.terminationMessagePolicy = "File";
    for (const variable of container.env ?? []) if (variable.value === "") delete variable.value;
  }
  cluster.put("Pod", pod);
  assert.match(brief(await cluster.run(runningPods))[0]!, /^ok: 1 running pod/);
  pod.spec.initContainers[1].image = "docker.io/library/nginx:1";
  cluster.put("Pod", pod);
  assert.match(brief(await cluster.run(runningPods))[0]!, /^warn: 1 pod with another proxy/);
});
