import assert from "node:assert/strict";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { content, KINDS, Operator } from "./operator.ts";
import { until } from "./processes.ts";
import { Wire } from "./wire.ts";

const cluster = await startCluster({ audit: true });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const operator = new Operator(cluster);
const liqo = await Liqo.install(cluster);
await liqo.createTenantNamespace("pharma");
const dataSpacer = await startDataSpacer(cluster, { replicas: 0 });
await cluster.serviceAccount(dataSpacer.namespace, dataSpacer.serviceAccount);
const wire = await Wire.lay(cluster, "wire", dataSpacer);
const replica = await dataSpacer.startReplica({ flags: [wire.flag] });
const pid = await replica.pid();

await liqo.createOffloadedNamespace("model");
await operator.holds("model", KINDS);
const right = await contents("model");

/** What both objects of a namespace say, as JSON. */
async function contents(namespace: string): Promise<string> {
  const found = await Promise.all(KINDS.map((kind) => operator.find(kind, namespace)));
  return JSON.stringify(found.map((object) => object && content(object)));
}

/** Namespaces that will be changed behind Data Spacer's back, one for each kind of change. */
async function prepare(prefix: string): Promise<void> {
  const names = ["drifted", "deleted", "out", "lost", "untouched"].map((name) => `${prefix}-${name}`);
  for (const name of names) await liqo.createOffloadedNamespace(name, {}, false);
  for (const name of names) await operator.holds(name, KINDS);
}

/** The changes. */
async function change(prefix: string): Promise<void> {
  await operator.patch(operator.path("ConfigMap", `${prefix}-drifted`), { data: { "lds.json": "{}" } });
  await operator.patch(operator.path("NetworkPolicy", `${prefix}-drifted`), { spec: { egress: [{}] } });
  for (const kind of KINDS) await operator.delete(operator.path(kind, `${prefix}-deleted`));
  await operator.label(`${prefix}-out`, { "data-space/apply-netpol": "false" });
  await operator.label(`${prefix}-lost`, { "liqo.io/remote-cluster-id": null });
  await liqo.createOffloadedNamespace(`${prefix}-new`, {}, false);
}

/** Waits until each change is answered as it should be. */
async function madeGood(prefix: string, ms = 30_000): Promise<void> {
  for (const name of ["drifted", "deleted", "new", "untouched"]) {
    await until(async () => await contents(`${prefix}-${name}`) === right || undefined, {
      ms,
      what: `${prefix}-${name} as it was`,
    });
  }
  await operator.holds(`${prefix}-out`, ["ConfigMap"], ms);
  await operator.holds(`${prefix}-lost`, [], ms);
  assert.equal(await replica.pid(), pid, "it is another process");
  assert.ok(await replica.ready());
}

async function restarts(): Promise<number> {
  return await replica.metric("data_spacer_watch_restarts_total");
}

Deno.test("a cut of every connection: what changed meanwhile is made good", async () => {
  await prepare("cut");
  const before = await restarts();
  await wire.cut();
  await change("cut");
  await wire.mend();
  await madeGood("cut");
  assert.ok(await restarts() >= before + 5, "each of its watches began anew");
});

Deno.test("the API server killed and started again, with changes before we hear of it again", async () => {
  await prepare("server");
  await wire.cut();
  await cluster.killApiServer();
  await cluster.startApiServer();
  await change("server");
  await wire.mend();
  await madeGood("server");
});

Deno.test("the API server killed under us: alive and ready all the time, and back at work by itself", async () => {
  await prepare("killed");
  await cluster.killApiServer();
  await until(async () => (await replica.logs()).some(({ message }) => message === "Watch interrupted") || undefined, {
    ms: 5_000,
    what: "noticed interruption",
  });
  assert.equal((await fetch(new URL("/healthz", replica.ops)).then((r) => r.text())).trim(), "ok");
  assert.ok(await replica.ready(), "admission has all that it needs");
  await cluster.startApiServer();
  await change("killed");
  await madeGood("killed");
});

Deno.test("etcd killed and started again, with changes right after", async () => {
  await prepare("etcd");
  await cluster.killEtcd();
  await cluster.startEtcd();
  await change("etcd");
  await madeGood("etcd");
});

Deno.test("etcd and the API server killed in the midst of work: nothing is lost", async () => {
  await prepare("both");
  const writing = (async () => {
    for (let i = 0; i < 30; i++) {
      await liqo.createOffloadedNamespace(`burst-${i}`, {}, false).catch(() => {}); // the rest comes too late
    }
  })();
  await operator.holds("burst-3", KINDS);
  await cluster.killEtcd();
  await cluster.killApiServer();
  await writing;
  await Promise.all([cluster.startEtcd(), cluster.startApiServer()]);
  await change("both");
  await madeGood("both");
  const { items } = await cluster.call<{ items: { metadata: { name: string } }[] }>("/api/v1/namespaces");
  const burst = items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith("burst-"));
  assert.ok(burst.length >= 4);
  for (const name of burst) await operator.holds(name, KINDS, 30_000);
});

Deno.test("after all of it pods are injected, nothing is written that differs from nothing, and no fault was unhandled", async () => {
  const answer = await liqo.createPod(await liqoPod("etcd-new"), { retryMs: 10_000 });
  assert.ok(answer.created, JSON.stringify(answer));
  await operator.settled();
  const before = (await operator.writes()).length;
  await operator.label("model", { team: "blue" });
  await operator.settled();
  const others = (await operator.writes()).slice(before).filter((write) => !write.includes(" mark-"));
  assert.deepEqual(others, []);
  const errors = (await replica.logs()).filter(({ level }) => level === "error");
  assert.deepEqual(errors, []);
  assert.equal(await replica.stop(), 0);
});
