import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { ROOT } from "../support/tree.ts";
import { startCluster } from "./cluster.ts";
import { type DataSpacer, startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { KINDS, Operator } from "./operator.ts";
import { overlay } from "./overlay.ts";
import { until } from "./processes.ts";

const cluster = await startCluster({ audit: true });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const operator = new Operator(cluster);
const liqo = await Liqo.install(cluster);
await liqo.createTenantNamespace("pharma");
await liqo.createOffloadedNamespace("trial-pharma");
await liqo.createOffloadedNamespace("free-pharma", { labels: { "data-space/apply-webhook": "false" } });
let dataSpacer: DataSpacer;

const podPath = (name: string, namespace = "trial-pharma") => `/api/v1/namespaces/${namespace}/pods/${name}`;

/** A pod as Liqo makes it; `hash` is the label that the consumer's controller gave it, if one did. */
async function makePod(name: string, hash?: string, namespace = "trial-pharma"): Promise<void> {
  const pod = await liqoPod(namespace, name);
  delete pod.metadata!.labels!["pod-template-hash"];
  if (hash !== undefined) pod.metadata!.labels![hash] = "6d5c7b9f4";
  const answer = await liqo.createPod(pod, { retryMs: 5_000 });
  assert.ok(answer.created, JSON.stringify(answer));
}

/** Plays scheduler and kubelet: the pod is on a node and ends only when that says so. */
async function run(name: string, phase = "Running"): Promise<void> {
  await cluster.call(`${podPath(name)}/binding`, {
    body: { metadata: { name }, target: { kind: "Node", name: "node-1" } },
  });
  const status = { phase, conditions: [{ type: "Ready", status: phase === "Running" ? "True" : "False" }] };
  await operator.patch(`${podPath(name)}/status`, { status });
}

async function findPod(name: string, namespace?: string): Promise<Pod | undefined> {
  const { status, body } = await cluster.request<Pod>(podPath(name, namespace));
  return status === 200 ? body : undefined;
}

/** Waits until a pod is gone. */
function gone(name: string, ms = 10_000): Promise<true> {
  return until(async () => await findPod(name) === undefined || undefined, { ms, what: `end of pod ${name}` });
}

/** Replaces the installation by one with this component. */
async function reinstall(component: string): Promise<void> {
  await dataSpacer.replica.stop();
  const lines = `resources: [../deploy/base]\ncomponents: [../deploy/components/${component}]\n`;
  dataSpacer = await startDataSpacer(cluster, { manifests: await overlay(cluster, lines) });
}

Deno.test("pods older than the installation are reported as Event, log line and metric, and stay", async () => {
  await makePod("deployed", "pod-template-hash");
  await run("deployed");
  await makePod("stateful", "controller-revision-hash");
  await makePod("bare");
  await run("bare");
  await makePod("done", "pod-template-hash");
  await run("done", "Succeeded");
  await makePod("free", "pod-template-hash", "free-pharma");

  dataSpacer = await startDataSpacer(cluster);
  await operator.holds("trial-pharma", KINDS);
  const [event] = await operator.event("PodsUninjected", "trial-pharma");
  assert.equal(event!.type, "Warning");
  assert.equal(event!.message, "3 pods run without the proxy: bare, deployed, stateful");
  const { replica } = dataSpacer;
  assert.equal(await replica.metric("data_spacer_uninjected_pods"), 3);
  const lines = (await replica.logs()).filter(({ reason }) => reason === "PodsUninjected");
  assert.deepEqual(lines.map(({ level, namespace }) => `${level} ${namespace}`), ["warn trial-pharma"]);
  assert.equal(await replica.metric("data_spacer_events_total", { reason: "PodsUninjected" }), 1);

  await operator.settled();
  assert.deepEqual(await operator.events("PodsUninjected", "free-pharma"), []);
  for (const name of ["deployed", "stateful", "bare", "done"]) {
    assert.equal((await findPod(name))!.metadata!.deletionTimestamp, undefined);
  }
});

Deno.test("the flag without the right changes nothing, and says so", async () => {
  await dataSpacer.replica.stop();
  const { replica } = dataSpacer = await startDataSpacer(cluster, { flags: ["--recreate-uninjected"] });
  const events = await operator.event("RecreationRefused", "trial-pharma", 2);
  for (const { type, message } of events) {
    assert.equal(type, "Warning");
    assert.match(message!, /pods "\w+" is forbidden/);
  }
  assert.ok(await findPod("deployed") && await findPod("stateful"));
  assert.equal(await replica.metric("data_spacer_reconciles_total", { result: "error" }), 0);
});

Deno.test("recreate-uninjected evicts what a controller makes anew, two in a second, and leaves the others", async () => {
  for (let i = 0; i < 3; i++) await makePod(`more-${i}`, "pod-template-hash", "free-pharma");
  await reinstall("recreate-uninjected");
  await gone("stateful");
  const deployed = await until(async () => {
    const { metadata } = (await findPod("deployed"))!;
    return metadata!.deletionTimestamp === undefined ? undefined : metadata;
  }, { ms: 10_000, what: "eviction of the deployed pod" });
  assert.equal(deployed.deletionGracePeriodSeconds, 30); // its own: it may end as it likes
  const events = await operator.event("PodRecreated", "trial-pharma", 2);
  assert.ok(events.every(({ type, message }) => type === "Normal" && message!.includes("evicted")));

  // With the webhook opted into again, the pods that it had not seen are evicted at a measured pace.
  await operator.label("free-pharma", { "data-space/apply-webhook": null });
  await until(async () => {
    const { items } = await cluster.call<{ items: Pod[] }>("/api/v1/namespaces/free-pharma/pods");
    return items.length === 0 || undefined;
  }, { ms: 10_000, what: "end of the pods in free-pharma" });
  const evictions = await operator.requests(({ verb, objectRef, responseStatus }) =>
    verb === "create" && objectRef?.subresource === "eviction" && responseStatus!.code < 300
  );
  const times = evictions.map((entry) => Date.parse(entry.requestReceivedTimestamp));
  assert.equal(times.length, 2 + 4);
  for (const [i, time] of times.slice(1).entries()) assert.ok(time - times[i]! > 350, times.join(" "));

  assert.equal((await findPod("bare"))!.metadata!.deletionTimestamp, undefined);
  assert.equal(await dataSpacer.replica.metric("data_spacer_uninjected_pods"), 1);
});

Deno.test("a pod that a PodDisruptionBudget holds is not evicted, and reported as that", async () => {
  await dataSpacer.replica.stop();
  await cluster.kubectl(["delete", "-k", `${ROOT}deploy/base`]); // without our webhook pods get past us
  await makePod("held", "pod-template-hash");
  await run("held");
  await cluster.call("/apis/policy/v1/namespaces/trial-pharma/poddisruptionbudgets", {
    body: {
      metadata: { name: "held" },
      spec: { minAvailable: 1, selector: { matchLabels: { "pod-template-hash": "6d5c7b9f4" } } },
    },
  });
  await reinstall("recreate-uninjected");
  const start = performance.now();
  const events = await operator.event("RecreationRefused", "trial-pharma", 3);
  assert.ok(events.some(({ message }) => /disruption budget/.test(message!)), JSON.stringify(events));
  assert.ok(performance.now() - start < 5_000, "it waits for the budget"); // others have to have their turn
  assert.equal((await findPod("held"))!.metadata!.deletionTimestamp, undefined);
});

Deno.test("recreate-uninjected-all deletes bare pods by force, and they come back under their names with the proxy", async () => {
  const { uid } = (await findPod("bare"))!.metadata!;
  await reinstall("recreate-uninjected-all");
  await gone("bare"); // though no kubelet has ended it
  const [event] = await operator.event("PodRecreated", "trial-pharma", 3).then((events) =>
    events.filter(({ message }) => message!.includes(`"bare"`))
  );
  assert.match(event!.message!, /deleted/);
  await makePod("bare");
  const pod = (await findPod("bare"))!;
  assert.notEqual(pod.metadata!.uid, uid);
  assert.ok(pod.spec!.initContainers!.some(({ name }) => name === "data-space-proxy"));
  await operator.settled();
  const removed = await operator.requests(({ verb, objectRef }) => verb === "delete" && objectRef?.resource === "pods");
  assert.deepEqual(removed.map(({ objectRef }) => objectRef!.name), ["bare"]);
});
