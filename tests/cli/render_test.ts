import assert from "node:assert/strict";
import { parseAllDocuments, stringify } from "yaml";
import { run } from "../../lib/cli/render.ts";
import { desired, objectTemplates } from "../../lib/core/desired_state.ts";
import { labels, liqo } from "../../lib/core/names.ts";
import { namespaceFacts, namespacePolicy } from "../../lib/core/namespace_policy.ts";
import { runVerb } from "../support/run_verb.ts";
import { testSettings } from "../support/settings.ts";

const RESOLVERS = "--resolvers=10.96.0.10";
const namespace = (name: string, more: Record<string, string> = {}) => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: { [liqo.remoteClusterId]: "pharma", ...more } },
});
const stream = (...objects: unknown[]) => objects.map((object) => stringify(object)).join("---\n");
const render = (text: string, flags: string[] = []) =>
  runVerb(run, ["-f", "-", RESOLVERS, ...flags], { files: { "-": text } });

/** Kinds and namespaces of the objects in a stream. */
const summary = (text: string) =>
  parseAllDocuments(text).map((document) => document.toJS()).map(({ kind, metadata }) =>
    `${kind} ${metadata.namespace}`
  );

Deno.test("render prints the objects that the reconciler keeps", async () => {
  const { code, stdout, stderr } = await render(stream(namespace("trial")));
  const facts = namespaceFacts(namespace("trial"));
  const tenant = namespaceFacts(namespace("liqo-tenant-pharma", { [liqo.tenantNamespace]: "true" }));
  const kept = desired(namespacePolicy(facts, tenant, testSettings()), objectTemplates(testSettings()));
  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(
    parseAllDocuments(stdout).map((document) => document.toJS()),
    kept.map(({ body }) => JSON.parse(body)),
  );
  assert.deepEqual(summary(stdout), ["ConfigMap trial", "NetworkPolicy trial"]);
});

Deno.test("render follows each Namespace's labels, and leaves out what is not offloaded", async (t) => {
  const table: [name: string, objects: unknown[], expected: string[]][] = [
    ["no proxy", [namespace("a", { [labels.applyWebhook]: "false" })], ["NetworkPolicy a"]],
    ["no NetworkPolicy", [namespace("a", { [labels.applyNetpol]: "false" })], ["ConfigMap a"]],
    ["neither", [namespace("a", { [labels.applyNetpol]: "false", [labels.applyWebhook]: "false" })], []],
    ["a tenant namespace of Liqo", [namespace("t", { [liqo.tenantNamespace]: "true" })], []],
    ["no label of Liqo", [{ apiVersion: "v1", kind: "Namespace", metadata: { name: "home" } }], []],
    ["no Namespace", [{ apiVersion: "v1", kind: "Pod", metadata: { name: "p", namespace: "a" }, spec: {} }], []],
    [
      "several, in order, also in a List",
      [namespace("b"), { apiVersion: "v1", kind: "List", items: [namespace("a")] }],
      ["ConfigMap b", "NetworkPolicy b", "ConfigMap a", "NetworkPolicy a"],
    ],
  ];
  for (const [name, objects, expected] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await render(stream(...objects));
      assert.equal(code, 0);
      assert.deepEqual(summary(stdout), expected);
      assert.match(stderr, expected.length === 0 ? /^Note: nothing to keep: .*\n$/ : /^$/);
    });
  }
});

Deno.test("render warns of a label that means nothing, and keeps the protection", async () => {
  const { code, stdout, stderr } = await render(stream(namespace("a", { [labels.applyNetpol]: "never" })));
  assert.deepEqual([code, summary(stdout)], [0, ["ConfigMap a", "NetworkPolicy a"]]);
  assert.match(stderr, /^Warning: Namespace\/a: Label data-space\/apply-netpol "never" does not opt out/);
});

Deno.test("render gives JSON for JSON and takes the same flags as serve", async () => {
  const { stdout } = await render(JSON.stringify(namespace("a", { [labels.applyWebhook]: "false" })), [
    "--dns-namespace=dns",
  ]);
  const policy = JSON.parse(stdout);
  assert.equal(policy.kind, "NetworkPolicy");
  assert.match(JSON.stringify(policy.spec.egress), /"kubernetes.io\/metadata.name":"dns"/);
});

Deno.test("render refuses wrong usage with code 2", async () => {
  const { code, stdout, stderr } = await runVerb(run, []);
  assert.deepEqual([code, stdout, stderr], [2, "", "Cannot render: -f FILE is missing; - reads standard input\n"]);
});
