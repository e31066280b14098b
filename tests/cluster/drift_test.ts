import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo } from "./liqo.ts";
import { content, type Kind, KINDS, occurrences, Operator } from "./operator.ts";
import { until } from "./processes.ts";

const cluster = await startCluster({ audit: true });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const operator = new Operator(cluster);
const liqo = await Liqo.install(cluster);
await liqo.createTenantNamespace("pharma");
const dataSpacer = await startDataSpacer(cluster);

await liqo.createOffloadedNamespace("model-pharma");
await operator.holds("model-pharma", KINDS);
/** What both objects look like when nobody has touched them. */
const right = {
  ConfigMap: content((await operator.find("ConfigMap", "model-pharma"))!),
  NetworkPolicy: content((await operator.find("NetworkPolicy", "model-pharma"))!),
};

/** Waits until an object is as we made it; returns how long that took, ms. */
async function repaired(kind: Kind, namespace: string, ms = 10_000): Promise<number> {
  const start = performance.now();
  let last: unknown;
  await until(async () => {
    const found = await operator.find(kind, namespace);
    last = found && content(found);
    return isDeepStrictEqual(last, right[kind]) || undefined;
  }, { ms, what: `repaired ${kind} in ${namespace}` }).catch((error) => {
    const names = (o: unknown) => JSON.stringify(o).slice(0, 300);
    assert.fail(`${error.message}: ${names(last)}`);
  });
  return performance.now() - start;
}

/** An object of another namespace: for the garbage collector it does not exist. */
const NOBODY = { apiVersion: "v1", kind: "ConfigMap", name: "nobody", uid: "11111111-2222-3333-4444-555555555555" };
/** An object that is in every namespace; its uid is filled in. */
const OWNER = { apiVersion: "v1", kind: "ServiceAccount", name: "default", uid: "" };
const LIQO_ORPHAN = { "offloading.liqo.io/origin": "pharma", "offloading.liqo.io/destination": "hospital" };
const HOLD = { metadata: { finalizers: ["example.com/hold"] } };

/** What somebody does to an object of ours: merge patches, then perhaps its deletion. */
type Tampering = [name: string, kind: Kind, patches: object[], then?: "delete" | undefined];

const BOTH: [name: string, patches: object[], then?: "delete"][] = [
  ["a label", [{ metadata: { labels: { more: "x" } } }]],
  ["our label changed", [{ metadata: { labels: { "app.kubernetes.io/managed-by": "me" } } }]],
  ["our label taken off", [{ metadata: { labels: null } }]],
  ["Liqo's labels of a reflected object", [{ metadata: { labels: LIQO_ORPHAN } }]],
  ["an annotation", [{ metadata: { annotations: { note: "x" } } }]],
  ["an owner", [{ metadata: { ownerReferences: [OWNER] } }]],
  ["an owner that does not exist", [{ metadata: { ownerReferences: [NOBODY] } }]],
  ["a finalizer", [HOLD]],
  ["a deletion", [], "delete"],
  ["a finalizer, then a deletion", [HOLD], "delete"],
];

const TAMPERINGS: Tampering[] = [
  ...KINDS.flatMap((kind) => BOTH.map(([name, patches, then]): Tampering => [name, kind, patches, then])),
  ["a changed key", "ConfigMap", [{ data: { "lds.json": "{}" } }]],
  ["a removed key", "ConfigMap", [{ data: { "cds.json": null } }]],
  ["an added key", "ConfigMap", [{ data: { "more.json": "{}" } }]],
  ["all data replaced", "ConfigMap", [{ data: null }, { binaryData: { more: "AAAA" } }]],
  ["immutable: true", "ConfigMap", [{ immutable: true }]],
  ["changed data, immutable", "ConfigMap", [{ data: { "lds.json": "{}" }, immutable: true }]],
  ["immutable with a finalizer", "ConfigMap", [{ immutable: true, ...HOLD }]],
  ["immutable with a finalizer, then a deletion", "ConfigMap", [{ immutable: true, ...HOLD }], "delete"],
  ["open ingress", "NetworkPolicy", [{ spec: { ingress: [{}] } }]],
  ["open egress", "NetworkPolicy", [{ spec: { egress: [{}] } }]],
  ["another direction only", "NetworkPolicy", [{ spec: { policyTypes: ["Ingress"] } }]],
  ["other pods only", "NetworkPolicy", [{ spec: { podSelector: { matchLabels: { a: "b" } } } }]],
];

async function tamper(namespace: string, [, kind, patches, then]: Tampering): Promise<void> {
  const path = operator.path(kind, namespace);
  const owner = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  const { uid } = (await cluster.call<{ metadata: { uid: string } }>(owner)).metadata;
  for (const patch of patches) {
    await operator.patch(path, JSON.parse(JSON.stringify(patch).replace(`"uid":""`, `"uid":"${uid}"`)));
  }
  if (then === "delete") await operator.delete(path);
}

Deno.test("whatever an administrator does to our objects is repaired at once, and reported", async (t) => {
  const slowest = { ms: 0 };
  for (const [i, tampering] of TAMPERINGS.entries()) {
    await t.step(`${tampering[0]}, ${tampering[1]}`, async () => {
      const namespace = `tampered-${i}`;
      await liqo.createOffloadedNamespace(namespace);
      await operator.holds(namespace, KINDS);
      await tamper(namespace, tampering);
      slowest.ms = Math.max(slowest.ms, await repaired(tampering[1], namespace));
      const events = await operator.event("ObjectDrift", namespace);
      assert.ok(events.every(({ type, message }) => type === "Warning" && message!.includes(tampering[1])));
      assert.ok(occurrences(events) <= 1 + tampering[2].length, `${occurrences(events)} occurrences`);
    });
  }
  assert.ok(slowest.ms < 3_000, `the slowest repair took ${slowest.ms} ms`);
});

Deno.test("an object of our name that we did not make is taken over, and reported as that", async (t) => {
  const bodies: [name: string, kind: Kind, body: object][] = [
    ["a ConfigMap with other data", "ConfigMap", { data: { "envoy.yaml": "{}", other: "x" } }],
    ["an immutable ConfigMap", "ConfigMap", { data: { "envoy.yaml": "{}" }, immutable: true }],
    ["a ConfigMap like ours", "ConfigMap", {
      data: (right.ConfigMap as { data: object }).data,
      metadata: { labels: { "app.kubernetes.io/managed-by": "data-spacer" } },
    }],
    ["a ConfigMap with a finalizer and Liqo's labels", "ConfigMap", {
      metadata: { labels: LIQO_ORPHAN, finalizers: ["example.com/hold"] },
    }],
    ["a NetworkPolicy that allows all", "NetworkPolicy", { spec: { podSelector: {}, ingress: [{}], egress: [{}] } }],
  ];
  for (const [i, [name, kind, body]] of bodies.entries()) {
    await t.step(name, async () => {
      const namespace = `foreign-${i}`;
      await operator.createNamespace(namespace);
      const path = operator.path(kind, namespace);
      const metadata = { ...(body as { metadata?: object }).metadata, name: path.split("/").at(-1) };
      await cluster.call(path.slice(0, path.lastIndexOf("/")), { body: { ...body, metadata } });
      await operator.patch(`/api/v1/namespaces/${namespace}`, {
        metadata: {
          labels: { "liqo.io/remote-cluster-id": "pharma" },
          annotations: { "liqo.io/managed-by-namespace-map": "liqo-tenant-pharma/hospital" },
        },
      });
      await repaired(kind, namespace);
      const events = await operator.event("ObjectTakenOver", namespace);
      assert.deepEqual(events.map(({ type, count }) => `${type} ${count}`), ["Warning 1"]);
      assert.ok(events[0]!.message!.includes(kind), events[0]!.message);
    });
  }
});

Deno.test("a foreign object in a namespace that opts out of ours is left alone, and so is one that replaced ours there", async () => {
  await liqo.createOffloadedNamespace("free", { labels: { "data-space/apply-webhook": "false" } });
  await operator.holds("free", ["NetworkPolicy"]);
  const body = { metadata: { name: "data-space-envoy-config" }, data: { mine: "x" } };
  await cluster.call("/api/v1/namespaces/free/configmaps", { body });
  await operator.settled();
  assert.deepEqual((await operator.find("ConfigMap", "free"))?.data, { mine: "x" });
});

Deno.test("repeated tampering is repaired at once, then more and more slowly, and counted in one Event", async () => {
  const namespace = "battle";
  await liqo.createOffloadedNamespace(namespace);
  await operator.holds(namespace, KINDS);
  const times: number[] = [];
  for (let i = 0; i < 6; i++) {
    await operator.patch(operator.path("ConfigMap", namespace), { data: { "lds.json": `${i}` } });
    times.push(Math.round(await repaired("ConfigMap", namespace, 15_000)));
  }
  const [first, second, ...later] = times;
  const text = times.join(" ");
  assert.ok(first! < 450 && second! < 450, text);
  for (const [i, ms] of later.entries()) { // 0.5, 1, 2, 4 s since the repair before
    const wait = 500 * 2 ** i;
    assert.ok(ms > wait - 250 && ms < wait + 1_500, text);
  }
  const events = await operator.event("ObjectDrift", namespace, 6);
  assert.deepEqual(events.map(({ count }) => count), [6]);

  await operator.delete(operator.path("NetworkPolicy", namespace)); // each object has a row of its own
  assert.ok(await repaired("NetworkPolicy", namespace) < 450);
});

Deno.test("each Event is also a log line and counted in the metric, and none lies out of default", async (t) => {
  await operator.settled();
  const lines = (await dataSpacer.replica.logs()).filter(({ message }) => message === "Reported");
  await until(async () => occurrences(await operator.events()) >= lines.length || undefined, {
    ms: 30_000,
    what: "Events that wait for their turn",
    every: 200,
  });
  const events = await operator.events();
  assert.deepEqual(events.filter(({ metadata }) => metadata.namespace !== "default"), []);
  const byReason = Map.groupBy(events, ({ reason }) => reason!);
  assert.deepEqual([...byReason.keys()].sort(), ["ConsumerMismatch", "ObjectDrift", "ObjectTakenOver"]);
  for (const [reason, same] of byReason) {
    await t.step(reason, async () => {
      const logged = lines.filter((line) => line.reason === reason);
      assert.equal(occurrences(same), logged.length);
      assert.equal(await dataSpacer.replica.metric("data_spacer_events_total", { reason }), logged.length);
      assert.ok(logged.every(({ level }) => level === "warn"));
    });
  }
  const { replica } = dataSpacer;
  const logged = (reasons: string[]) => lines.filter(({ reason }) => reasons.includes(String(reason))).length;
  assert.equal(
    await replica.metric("data_spacer_object_writes_total", { because: "drift" }),
    logged(["ObjectDrift"]),
  );
  assert.equal(await replica.metric("data_spacer_drift_repairs_total"), logged(["ObjectDrift", "ObjectTakenOver"]));
});
