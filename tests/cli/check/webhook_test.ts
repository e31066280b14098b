import assert from "node:assert/strict";
import { webhookRegistration } from "../../../lib/cli/check/webhook.ts";
import { brief, type FakeCluster, healthyCluster, type Loose } from "./fake_cluster.ts";

Deno.test("check compares the registration with what lets every pod come to us; the manifest is as it should be", async (t) => {
  const webhook = (change: (webhook: Loose) => void) => (cluster: FakeCluster) =>
    cluster.change("MutatingWebhookConfiguration", "data-spacer", ({ webhooks }) => change(webhooks[0]));
  const table: [name: string, change: (cluster: FakeCluster) => void, expected: RegExp[]][] = [
    ["as applied", () => {}, [/^ok: MutatingWebhookConfiguration "data-spacer" is as it should be$/]],
    ["with the API server's defaults", webhook((w) => Object.assign(w, { objectSelector: {}, matchConditions: [] })), [
      /^ok: /,
    ]],
    ["terms in another order", webhook((w) => w.namespaceSelector.matchExpressions.reverse()), [/^ok: /]],
    ["no answer is a yes", webhook((w) => w.failurePolicy = "Ignore"), [
      /^fail: MutatingWebhookConfiguration "data-spacer": failurePolicy must be "Fail", but is "Ignore"$/,
    ]],
    ["only some pods", webhook((w) => w.objectSelector = { matchLabels: { a: "b" } }), [
      /: objectSelector must be absent, but is \{"matchLabels":\{"a":"b"\}\}$/,
    ]],
    ["only some requests", webhook((w) => w.matchConditions = [{ name: "x", expression: "false" }]), [
      /: matchConditions must be absent/,
    ]],
    ["not the last word", webhook((w) => delete w.reinvocationPolicy), [
      /: reinvocationPolicy must be "IfNeeded", but is absent$/,
    ]],
    ["Liqo's tenant namespaces too", webhook((w) => w.namespaceSelector.matchExpressions.splice(1, 2)), [
      /: namespaceSelector must be /,
    ]],
    ["two faults", webhook((w) => Object.assign(w, { failurePolicy: "Ignore", rules: [] })), [
      /: rules must be /,
      /: failurePolicy must be /,
    ]],
    ["another Service", webhook((w) => w.clientConfig.service.name = "other"), [
      /^fail: .* does not call \/mutate\/pod of Service "data-spacer\/data-spacer": pods of consumers run without the proxy$/,
    ]],
    ["another path", webhook((w) => w.clientConfig.service.path = "/"), [/^fail: .* does not call \/mutate\/pod/]],
    ["absent", (cluster) => cluster.drop("MutatingWebhookConfiguration"), [
      /^fail: .* is not there: pods of consumers run without the proxy$/,
    ]],
  ];
  for (const [name, change, expected] of table) {
    await t.step(name, async () => {
      const cluster = await healthyCluster();
      change(cluster);
      const found = brief(await cluster.run(webhookRegistration));
      assert.equal(found.length, expected.length, found.join("\n"));
      found.forEach((text, i) => assert.match(text, expected[i]!));
    });
  }
});
