import assert from "node:assert/strict";
import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { SPACES } from "../../../demo/manifests.ts";
import { consumer } from "../liqo.ts";
import { KINDS, Operator } from "../operator.ts";
import { until } from "../processes.ts";
import { createPod, deployHospital, type Installation, kubectl, podReady, startInstallation } from "./installation.ts";
import { answers, isInjected, offloadedPod, processOf } from "./offloaded.ts";
import { missing } from "./packages.ts";

// What holds while parts of the provider's cluster are gone.

const installation = missing === undefined ? await startInstallation() : undefined as never as Installation;
const { node, liqo } = installation ?? {};
if (missing === undefined) Deno.test.afterAll(() => node[Symbol.asyncDispose]());
const operator = new Operator(node);
const namespace = SPACES.pharma;
const CLIENT = { namespace, pod: "client" };
const PATIENTS = "http://hospital-app.hospital-space:8080/patients";

if (missing === undefined) {
  await Promise.all([deployHospital(node), liqo.createOffloadedNamespace(namespace)]);
  await createPod(liqo, offloadedPod("client", "exec sleep 3600"));
  await podReady(node, namespace, "client");
}

function test(name: string, body: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name, ignore: missing !== undefined, fn: body });
}

/** Identity of the replica that leads, `POD_UUID`; one that is not `before`. */
function leader(before?: string): Promise<string> {
  return until(async () => {
    const path = "/apis/coordination.k8s.io/v1/namespaces/data-spacer/leases/data-spacer";
    const holder = (await node.call<Lease>(path)).spec!.holderIdentity ?? "";
    return holder === "" || holder === before ? undefined : holder;
  }, { ms: 20_000, what: "leader", every: 50 });
}

/** Ends the process of the replica that leads, as a crash does. Returns its identity. */
async function killLeader(): Promise<string> {
  const holder = await leader();
  const pid = await processOf(node, { namespace: "data-spacer", pod: holder.split("_")[0]!, container: "data-spacer" });
  const { code, stderr } = await node.node("kill", "-9", `${pid}`);
  assert.equal(code, 0, stderr);
  return holder;
}

async function replicas(): Promise<Pod[]> {
  const { items } = await node.call<{ items: Pod[] }>("/api/v1/namespaces/data-spacer/pods");
  return items.filter(({ metadata }) => metadata!.deletionTimestamp === undefined);
}

async function restarts(): Promise<number> {
  return (await replicas()).reduce((sum, { status }) => sum + status!.containerStatuses![0]!.restartCount, 0);
}

async function allReady(): Promise<void> {
  await until(async () => {
    const all = await replicas();
    return all.length === 2 && all.every(({ status }) => status?.containerStatuses?.[0]?.ready) || undefined;
  }, { ms: 60_000, what: "two ready replicas", every: 100 });
}

test("two replicas run, one of them leads", async () => {
  const names = (await replicas()).map(({ metadata }) => metadata!.name!);
  assert.equal(names.length, 2);
  assert.ok(names.includes((await leader()).split("_")[0]!));
});

test("a leader that is killed is followed within 15 s, and new namespaces get what is theirs", async () => {
  const start = performance.now();
  const before = await killLeader();
  await liqo.createOffloadedNamespace("orphan", {}, false);
  await operator.holds("orphan", KINDS, 15_000);
  const ms = performance.now() - start;
  assert.ok(ms < 15_000, `${ms} ms`);
  assert.notEqual(await leader(), before);
  await allReady();
});

test("after a restart of the API server all goes on: no replica starts anew, pods get the proxy, drift is repaired", async () => {
  const before = await restarts();
  await node.restart("apiserver");
  const pod = await createPod(liqo, offloadedPod("restarted", "exec sleep 3600"));
  assert.ok(isInjected(pod));
  await podReady(node, namespace, "restarted");
  const start = performance.now();
  await operator.delete(operator.path("NetworkPolicy", namespace));
  await operator.holds(namespace, KINDS, 15_000);
  await liqo.createOffloadedNamespace("later", {}, false);
  await operator.holds("later", KINDS, 15_000);
  const ms = performance.now() - start;
  assert.ok(ms < 15_000, `${ms} ms`);
  assert.equal(await restarts(), before);
});

test("while no replica runs, new pods are refused, running ones work on, and the policies hold", async (t) => {
  await kubectl(node, ["scale", "-n", "data-spacer", "deployment/data-spacer", "--replicas=0"]);
  await until(
    async () =>
      (await node.call<{ items: Pod[] }>("/api/v1/namespaces/data-spacer/pods")).items.length === 0 || undefined,
    {
      ms: 60_000,
      what: "end of the replicas",
      every: 100,
    },
  );
  await t.step("a new pod is refused", async () => {
    for (let i = 0; i < 5; i++) {
      const answer = await liqo.createPod(offloadedPod(`refused-${i}`, "exec sleep 3600"));
      assert.ok(!answer.created && answer.message.includes("pod-rules.data-spacer.provider"), JSON.stringify(answer));
    }
  });
  await t.step("even with the proxy that a real one has", async () => {
    const copy = await node.call<Pod>(`/api/v1/namespaces/${namespace}/pods/client`);
    const spec = { ...copy.spec! };
    delete spec.nodeName;
    const answer = await liqo.createPod({ metadata: { name: "copied", namespace }, spec });
    assert.ok(!answer.created && answer.message.includes("pod-rules.data-spacer.provider"), JSON.stringify(answer));
  });
  await t.step("a running pod works on", async () => {
    assert.match(await answers(node, CLIENT, PATIENTS), /Ada Quince/);
  });
  await t.step("a pod whose proxy is killed gets it back", async () => {
    const pid = await processOf(node, { ...CLIENT, container: "data-space-proxy" });
    await node.node("kill", "-9", `${pid}`);
    assert.match(await answers(node, CLIENT, PATIENTS, 200, 30_000), /Ada Quince/);
  });
  await t.step("Envoy's configuration cannot be changed by the consumer", async () => {
    const path = operator.path("ConfigMap", namespace);
    const emptied = { method: "PATCH", contentType: "application/merge-patch+json", body: { data: null } };
    const { status, body } = await node.request<{ message: string }>(path, { ...consumer("pharma"), ...emptied });
    assert.equal(status, 403);
    assert.match(body.message, /proxy-configuration\.data-spacer\.provider/);
  });
  await t.step("it is accepted, with the proxy, when the replicas are back", async () => {
    await kubectl(node, ["scale", "-n", "data-spacer", "deployment/data-spacer", "--replicas=2"]);
    await allReady();
    assert.ok(isInjected(await createPod(liqo, offloadedPod("refused-0", "exec sleep 3600"))));
    await podReady(node, namespace, "refused-0");
  });
});

test("200 pods at 50/s while the leader is killed and the API server restarts: each is injected or refused", async () => {
  await liqo.createOffloadedNamespace("load-pharma");
  await operator.holds("load-pharma", KINDS);
  const began = performance.now();
  const creations = Array.from({ length: 200 }, async (_, i) => {
    await new Promise((resolve) => setTimeout(resolve, i * 20));
    const pod = offloadedPod(`load-${i}`, "exec sleep 3600", {
      namespace: "load-pharma",
      spec: { schedulerName: "nobody" },
    });
    // Liqo tries again where it is refused: the API server itself does so until it has read the roles again.
    return await liqo.createPod(pod, { retryMs: 3_000 })
      .then((answer) => answer.created ? "created" : "refused", () => "not answered");
  });
  await new Promise((resolve) => setTimeout(resolve, 800));
  const before = await killLeader();
  await liqo.createOffloadedNamespace("during-pharma", {}, false);
  await new Promise((resolve) => setTimeout(resolve, 700));
  await node.restart("apiserver");
  const lastFault = performance.now();
  const outcomes = await Promise.all(creations);
  const took = performance.now() - began;

  // Converged: what came while nobody led has its objects, and what is taken away comes back.
  await operator.holds("during-pharma", KINDS, 15_000);
  await operator.delete(operator.path("ConfigMap", "load-pharma"));
  await operator.holds("load-pharma", KINDS, 15_000);
  const converged = performance.now() - lastFault;
  assert.ok(converged < 15_000, `converged after ${converged} ms`);
  assert.notEqual(await leader(), before);

  const { items } = await node.call<{ items: Pod[] }>("/api/v1/namespaces/load-pharma/pods");
  const count = (outcome: string) => outcomes.filter((found) => found === outcome).length;
  const seen = `${count("created")} created, ${count("refused")} refused, ${count("not answered")} not answered, ` +
    `${items.length} stored, in ${Math.round(took)} ms; converged ${Math.round(converged)} ms after the last fault`;
  Deno.stderr.writeSync(new TextEncoder().encode(`${seen}\n`));
  assert.ok(count("created") > 50, seen); // else nothing was tried
  assert.deepEqual(items.filter((pod) => !isInjected(pod)).map(({ metadata }) => metadata!.name), [], seen);
  assert.ok(items.length >= count("created") && items.length <= 200 - count("refused"), seen);
  await allReady();
});
