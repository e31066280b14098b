import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { reconcilePods } from "../../lib/controller/reconcile_pods.ts";
import { Reminders } from "../../lib/controller/reminders.ts";
import type { Finding } from "../../lib/core/reasons.ts";
import { KubeError } from "../../lib/kube/errors.ts";
import type { NamespaceStore } from "../../lib/state/namespaces.ts";
import { injected, testInjection, testPod } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";

const policy = testPolicy();

const injection = testInjection();
const good = injected({ ...testPod(), metadata: { name: "good", uid: "1" } }, policy, injection);

/** As a consumer may have made it before the installation, or during an opt-out. */
const forged = testPod({ initContainers: [{ name: "data-space-init" }, { name: "data-space-proxy" }] });

const pods: Pod[] = [
  good,
  { ...forged, metadata: { name: "forged", uid: "6" } },
  { metadata: { name: "done", uid: "2" }, spec: { containers: [] }, status: { phase: "Succeeded" } },
  { metadata: { name: "going", uid: "3", deletionTimestamp: "2026-01-01T00:00:00Z" }, spec: { containers: [] } },
  { metadata: { name: "web", uid: "4", labels: { "pod-template-hash": "x" } }, spec: { containers: [] } },
  { metadata: { name: "bare", uid: "5" }, spec: { containers: [] }, status: { phase: "Running" } },
];

function setUp(mode: "none" | "controlled" | "all", options: { refuse?: number; view?: object } = {}) {
  const calls: string[] = [];
  const findings: Finding[] = [];
  const counts: number[] = [];
  const clock = { ms: 1 };
  const refuse = () => {
    if (options.refuse) throw new KubeError({ status: options.refuse, reason: "", message: "Cannot evict: budget" });
    return Promise.resolve();
  };
  const reconcile = reconcilePods({
    client: {
      async *listAll() {
        calls.push("list");
        yield { items: pods, restarted: false, resourceVersion: "1" };
      },
      delete: (_resource: unknown, ref: { name: string; gracePeriodSeconds?: number }) => {
        calls.push(`delete ${ref.name} ${ref.gracePeriodSeconds}`);
        return refuse();
      },
      createSubresource: (_resource: unknown, object: { metadata?: { name?: string } }) => {
        calls.push(`evict ${object.metadata?.name}`);
        return refuse();
      },
    } as unknown as Parameters<typeof reconcilePods>[0]["client"],
    store: { get: () => ({ policy, ready: true, owned: [], ...options.view }) } as unknown as NamespaceStore,
    injection: () => injection,
    reminders: new Reminders(() => clock.ms),
    mode,
    listPace: () => Promise.resolve(),
    recreatePace: () => Promise.resolve(),
    now: () => clock.ms,
    report: (_namespace, finding) => findings.push(finding),
    uninjected: (_namespace, count) => counts.push(count),
  });
  return { calls, findings, counts, clock, run: () => reconcile("trial-pharma", new AbortController().signal) };
}

Deno.test("reconcilePods() reports running pods without the proxy once, and counts them", async () => {
  const { calls, findings, counts, clock, run } = setUp("none");
  assert.deepEqual(await run(), { requeueAfterMs: 300_000 });
  clock.ms += 100_000;
  assert.deepEqual(await run(), { requeueAfterMs: 200_000 }, "a change of the namespace is no reason to look again");
  clock.ms += 200_000;
  await run();
  assert.deepEqual(counts, [2, 2]);
  assert.deepEqual(calls, ["list", "list"]);
  assert.deepEqual(findings, [
    { reason: "PodsUninjected", message: "2 pods run without the proxy: bare, web" },
    {
      reason: "PodsWithOtherProxy",
      message: "1 pod runs with a proxy that neither this version nor the one before makes: forged",
    },
  ]);
});

Deno.test("reconcilePods() evicts those that a controller makes anew, and deletes others by force only when told", async () => {
  const controlled = setUp("controlled");
  await controlled.run();
  assert.deepEqual(controlled.calls, ["list", "evict web"]);
  const all = setUp("all");
  await all.run();
  assert.deepEqual(all.calls, ["list", "evict web", "delete bare 0"]);
  assert.deepEqual(all.findings.map(({ reason }) => reason), [
    "PodsUninjected",
    "PodsWithOtherProxy",
    "PodRecreated",
    "PodRecreated",
  ]);
});

Deno.test("reconcilePods() reports a refused eviction, and goes on", async () => {
  const { calls, findings, run } = setUp("all", { refuse: 429 });
  assert.deepEqual(await run(), { requeueAfterMs: 15_000 });
  assert.equal(calls.length, 3);
  assert.equal(findings.filter(({ reason }) => reason === "RecreationRefused").length, 2);
});

Deno.test("reconcilePods() touches nothing while the namespace is not ready or terminating", async (t) => {
  const views = {
    "not ready": { ready: false },
    terminating: { policy: { ...policy, terminating: true } },
  };
  for (const [name, view] of Object.entries(views)) {
    await t.step(name, async () => {
      const { calls, run } = setUp("all", { view });
      await run();
      assert.deepEqual(calls, []);
    });
  }
});
