import assert from "node:assert/strict";
import { installation, leader } from "../../../lib/cli/check/installation.ts";
import { brief, type FakeCluster, healthyCluster, type Loose } from "./fake_cluster.ts";

Deno.test("check looks at our Deployment: replicas, version, flags", async (t) => {
  const ready = 'ok: Deployment "data-spacer/data-spacer" has 2 of 2 replicas ready';
  const deployment = (change: (deployment: Loose) => void) => (c: FakeCluster) =>
    c.change("Deployment", "data-spacer", change);
  const env = (name: string, value: string) =>
    deployment(({ spec }) => spec.template.spec.containers[0].env.push({ name, value }));
  const image = (image: string) => deployment(({ spec }) => void (spec.template.spec.containers[0].image = image));
  const table: [name: string, change: (cluster: FakeCluster) => void, expected: (string | RegExp)[]][] = [
    ["all well", () => {}, [ready]],
    ["replicas not ready", deployment((d) => delete d.status), [/^warn: .* has 0 of 2 replicas ready$/]],
    [
      "one replica",
      deployment((d) => Object.assign(d, { spec: { ...d.spec, replicas: 1 }, status: { readyReplicas: 1 } })),
      [
        /^warn: .* has 1 of 1 replicas ready: while none is, no pod can be created/,
      ],
    ],
    ["another version", image("registry.example:5000/data-spacer:v0.0.9"), [
      ready,
      /^warn: Image "registry.example:5000\/data-spacer:v0\.0\.9" runs, and this command is version 0\.1\.0$/,
    ]],
    ["the same version, elsewhere", image("registry.example:5000/data-spacer:v0.1.0"), [ready]],
    ["by digest", image(`registry.example/data-spacer@sha256:${"0".repeat(64)}`), [ready]],
    ["wrong variable", env("WORKERS", "many"), [ready, /^fail: Cannot use WORKERS "many": must be a whole number/]],
    ["wrong flag", deployment(({ spec }) => void (spec.template.spec.containers[0].args = ["serve", "--nope"])), [
      ready,
      /^fail: Cannot read the command line: Unknown option '--nope'/,
    ]],
    ["no Deployment, but its webhook", (c) => c.drop("Deployment"), [
      /^fail: Deployment "data-spacer\/data-spacer" is not there, but MutatingWebhookConfiguration "data-spacer" is: no pod can be created/,
    ]],
    ["nothing", (c) => ["Deployment", "MutatingWebhookConfiguration"].forEach((kind) => c.drop(kind)), [
      /^warn: Data Spacer is not installed/,
    ]],
  ];
  for (const [name, change, expected] of table) {
    await t.step(name, async () => {
      const cluster = await healthyCluster();
      change(cluster);
      const found = brief(await cluster.run(installation));
      assert.equal(found.length, expected.length, found.join("\n"));
      found.forEach((text, i) => {
        const want = expected[i]!;
        if (typeof want === "string") assert.equal(text, want);
        else assert.match(text, want);
      });
    });
  }
});

Deno.test("check looks for the leader", async (t) => {
  const table: [name: string, change: (cluster: FakeCluster) => void, expected: RegExp][] = [
    ["one leads", () => {}, /^ok: Replica "replica-1" leads$/],
    ["one leads, and the clock here is 40 s late or early", (c) => void (c.nowMs += 40_000), /^ok: /],
    [
      "it has stopped",
      (c) => void (c.nowMs += 80_000),
      /^fail: No replica leads \(.*"replica-1" has not renewed it since 2026-11-24T11:59:58/,
    ],
    [
      "it has given the Lease up",
      (c) => c.change("Lease", "data-spacer", (lease) => void (lease.spec.holderIdentity = "")),
      /^fail: .*nobody holds it/,
    ],
    ["there never was one", (c) => c.drop("Lease"), /^fail: .*nobody holds it/],
  ];
  for (const [name, change, expected] of table) {
    await t.step(name, async () => {
      const cluster = await healthyCluster();
      change(cluster);
      const found = brief(await cluster.run(leader));
      assert.equal(found.length, 1);
      assert.match(found[0]!, expected);
    });
  }
});
