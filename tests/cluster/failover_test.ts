import assert from "node:assert/strict";
import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import { type AuditEntry, startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo } from "./liqo.ts";
import { isObjectWrite, KINDS, Operator } from "./operator.ts";
import { until } from "./processes.ts";
import type { Replica } from "./replica.ts";
import { credentialOf, Wire } from "./wire.ts";

const cluster = await startCluster({ audit: true });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const operator = new Operator(cluster);
const liqo = await Liqo.install(cluster);
await liqo.createTenantNamespace("pharma");
const dataSpacer = await startDataSpacer(cluster, { replicas: 2 });

async function lease(): Promise<NonNullable<Lease["spec"]>> {
  const path = "/apis/coordination.k8s.io/v1/namespaces/data-spacer/leases/data-spacer";
  return (await cluster.call<Lease>(path)).spec!;
}

/** The replica that holds the Lease; waits at most `ms` for one that is not `before`. */
function leader(options: { before?: Replica; ms?: number } = {}): Promise<Replica> {
  const { before, ms = 15_000 } = options;
  return until(async () => {
    const { holderIdentity = "" } = await lease().catch(() => ({ holderIdentity: "" }));
    return dataSpacer.replicas.find((replica) => replica !== before && holderIdentity.startsWith(`${replica.name}_`));
  }, { ms, what: "leader", every: 25 });
}

async function credential(replica: Replica): Promise<string> {
  return credentialOf(await Deno.readTextFile(`${cluster.processes.folder}/${replica.name}.token`));
}

function credentialsOf({ user }: AuditEntry): string[] {
  return user.extra?.["authentication.kubernetes.io/credential-id"] ?? [];
}

Deno.test("of two replicas only the leader writes", async () => {
  const first = await leader();
  for (let i = 0; i < 10; i++) await liqo.createOffloadedNamespace(`many-${i}`, {}, false);
  for (let i = 0; i < 10; i++) {
    await operator.holds(`many-${i}`, KINDS);
    await operator.delete(operator.path("ConfigMap", `many-${i}`));
  }
  for (let i = 0; i < 10; i++) await operator.holds(`many-${i}`, KINDS);
  await operator.event("ObjectDrift", "many-9");
  const writes = await operator.requests((entry) =>
    isObjectWrite(entry) || (entry.verb !== "watch" && ["events", "pods"].includes(entry.objectRef?.resource ?? ""))
  );
  assert.ok(writes.length > 30);
  assert.deepEqual([...new Set(writes.flatMap(credentialsOf))], [await credential(first)]);
  for (const replica of dataSpacer.replicas) {
    assert.equal(await replica.metric("data_spacer_leader"), replica === first ? 1 : 0);
    assert.ok(await replica.ready());
  }
});

Deno.test("a leader that is killed is followed within 15 s, and what happened meanwhile is made good", async () => {
  const first = await leader();
  const start = performance.now();
  await first.kill();
  await operator.delete(operator.path("NetworkPolicy", "many-0"));
  await liqo.createOffloadedNamespace("orphan", {}, false);
  await operator.holds("orphan", KINDS, 15_000);
  await operator.holds("many-0", KINDS, 1_000);
  const ms = performance.now() - start;
  assert.ok(ms < 15_000, `${ms} ms`);
  const next = await leader();
  assert.notEqual(next, first);
  assert.equal(await next.metric("data_spacer_leader"), 1);
});

Deno.test("a leader that is told to end gives up the Lease: the next one writes at once", async () => {
  const other = await dataSpacer.startReplica();
  const first = await leader();
  assert.notEqual(first, other);
  const ended = first.stop();
  const start = performance.now();
  await liqo.createOffloadedNamespace("handed-over", {}, false);
  await operator.holds("handed-over", KINDS);
  const ms = performance.now() - start;
  assert.ok(ms < 4_000, `${ms} ms`); // without, 9 s at the least
  assert.equal(await ended, 0);
  assert.equal(await leader(), other);
});

Deno.test("a leader that is cut off from the API server stops before its Lease runs out, writes nothing after, and comes back", async (t) => {
  await (await leader()).stop();
  const wire = await Wire.lay(cluster, "wire", dataSpacer);
  const flags = ["--lease-duration=4s"];
  const first = await dataSpacer.startReplica({ flags: [...flags, wire.flag] });
  assert.equal(await leader(), first);
  const second = await dataSpacer.startReplica({ flags });
  const renewed = async () => Date.parse((await lease()).renewTime!);

  await t.step("it stops in time, the other one leads", async () => {
    await operator.settled();
    await wire.freeze();
    const lastRenewal = await renewed();
    await until(async () => await first.metric("data_spacer_leader") === 0 || undefined, {
      ms: 10_000,
      what: "end of the term",
    });
    const stopped = Date.now();
    assert.ok(stopped < lastRenewal + 4_000, `${stopped - lastRenewal} ms after the last renewal`);
    assert.equal(await leader({ before: first, ms: 10_000 }), second);
    const acquired = Date.parse((await lease()).acquireTime!);
    assert.ok(acquired > stopped, `the other one leads ${stopped - acquired} ms before`);
    const lines = (await first.logs()).map(({ message }) => message);
    assert.ok(lines.includes("Lost the lead"), lines.join());
  });

  await t.step("what happens meanwhile is the other one's, also when it hears of it late", async () => {
    await liqo.createOffloadedNamespace("meanwhile", {}, false);
    await operator.holds("meanwhile", KINDS);
    await operator.label("many-1", { "data-space/apply-netpol": "false" });
    await operator.holds("many-1", ["ConfigMap"]);
    const thawed = new Date().toISOString();
    await wire.thaw();
    for (let i = 0; i < 5; i++) {
      await operator.delete(operator.path("ConfigMap", `many-${i + 2}`));
      await operator.holds(`many-${i + 2}`, KINDS);
    }
    await until(async () => {
      const asked = await operator.requests((e) => e.requestReceivedTimestamp > thawed && e.verb === "get");
      return asked.some((e) => credentialsOf(e).includes(wire.credential)) || undefined;
    }, { ms: 10_000, what: "a look of the former leader at the Lease", every: 50 });
    const late = await operator.requests((entry) =>
      isObjectWrite(entry) && credentialsOf(entry).includes(wire.credential) && entry.requestReceivedTimestamp > thawed
    );
    assert.deepEqual(late.map(({ requestURI }) => requestURI), []);
  });

  await t.step("it leads again after the other one, with all that it had missed", async () => {
    await second.stop();
    assert.equal(await leader({ ms: 4_000 }), first);
    await operator.settled();
    await operator.holds("many-1", ["ConfigMap"]);
    assert.ok(await first.ready());
  });
});

Deno.test("a leader that stands still past its Lease writes nothing when it goes on", async () => {
  const first = await leader();
  const second = await dataSpacer.startReplica({ flags: ["--lease-duration=4s"] });
  const pid = (await first.pid())!;
  Deno.kill(pid, "SIGSTOP");
  assert.equal(await leader({ before: first }), second);
  await operator.delete(operator.path("ConfigMap", "many-9"));
  await operator.holds("many-9", KINDS);
  const woken = new Date().toISOString();
  Deno.kill(pid, "SIGCONT");
  await until(async () => await first.metric("data_spacer_leader") === 0 || undefined, {
    ms: 5_000,
    what: "end of its term",
  });
  await operator.settled();
  const writes = await operator.requests((entry) => isObjectWrite(entry) && entry.requestReceivedTimestamp > woken);
  assert.ok(writes.length > 0);
  assert.deepEqual([...new Set(writes.flatMap(credentialsOf))], [await credential(second)]);
});
