import assert from "node:assert/strict";
import { ROOT } from "../support/tree.ts";
import { startCluster } from "./cluster.ts";
import { until } from "./processes.ts";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());

interface Line {
  time: string;
  message: string;
}

/** Replicas by name; each has the rights of the ServiceAccount and no others. */
const names: string[] = [];

async function startReplica(): Promise<string> {
  const name = `replica-${names.length}`;
  names.push(name);
  const token = await cluster.token("data-spacer", "data-spacer");
  const command = [
    Deno.execPath(),
    ...["run", "--allow-net", "--allow-read", "--allow-env", `${ROOT}tests/cluster/leader_replica.ts`],
    await cluster.writeKubeconfig(name, { token }),
    name,
  ];
  await cluster.processes.start(name, { command });
  return name;
}

async function linesOf(name: string): Promise<(Line & { at: number })[]> {
  const text = await Deno.readTextFile(cluster.processes.logFile(name)).catch(() => "");
  // The last line may be half-written.
  return text.split("\n").slice(0, -1).filter((line) => line.startsWith("{")).map((line) => {
    const parsed = JSON.parse(line) as Line;
    return { ...parsed, at: Date.parse(parsed.time) };
  });
}

/** Terms of all replicas in order, with when each began and when it did its last work. */
async function terms(): Promise<{ name: string; from: number; lastWork: number; stopped: boolean }[]> {
  const all: { name: string; from: number; lastWork: number; stopped: boolean }[] = [];
  for (const name of names) {
    for (const line of await linesOf(name)) {
      if (line.message === "start") all.push({ name, from: line.at, lastWork: line.at, stopped: false });
      if (line.message === "work") all.at(-1)!.lastWork = line.at;
      if (line.message === "stop") all.at(-1)!.stopped = true;
    }
  }
  return all.sort((a, b) => a.from - b.from);
}

/** Waits for the term after `count` others, and checks that all before it had ended. */
async function nextTerm(count: number, ms: number): Promise<{ name: string; from: number }> {
  const term = await until(async () => (await terms())[count], { ms, what: `term ${count}`, every: 50 });
  await new Promise((resolve) => setTimeout(resolve, 500)); // some work, to be compared
  const all = await terms();
  for (const [i, { name, lastWork }] of all.entries()) {
    const next = all[i + 1];
    assert.ok(next === undefined || lastWork <= next.from, `${name} works in the term of ${next?.name}`);
  }
  return term;
}

Deno.test("runLeader() against a real API server, with the rights of the ServiceAccount", async (t) => {
  const { code, stderr } = await cluster.kubectl(["apply", "-k", `${ROOT}deploy/base`]);
  assert.equal(code, 0, stderr);
  await cluster.serviceAccount("data-spacer", "data-spacer");
  await Promise.all([startReplica(), startReplica(), startReplica()]);
  let count = 0;
  let leader = (await nextTerm(count++, 15_000)).name;
  const report = (what: string, ms: number) => Deno.stdout.write(new TextEncoder().encode(`  ${what}: ${ms} ms\n`));

  await t.step("one of three leads, the others wait", async () => {
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    assert.equal((await terms()).length, 1);
  });

  await t.step("SIGTERM: exit 0, and the next one leads within 2 s", async () => {
    const at = Date.now();
    assert.equal(await cluster.processes.stop(leader, "SIGTERM"), 0);
    await startReplica();
    const next = await nextTerm(count++, 2_000);
    await report("after SIGTERM", next.from - at);
    leader = next.name;
  });

  await t.step("kill -9: the next one leads within 15 s", async () => {
    const at = Date.now();
    await cluster.processes.stop(leader, "SIGKILL");
    await startReplica();
    const next = await nextTerm(count++, 15_000);
    await report("after kill -9", next.from - at);
    leader = next.name;
  });

  await t.step("a leader that stood still past its Lease does nothing when it wakes", async () => {
    const pid = (await cluster.processes.pid(leader))!;
    const at = Date.now();
    Deno.kill(pid, "SIGSTOP");
    const next = await nextTerm(count++, 15_000);
    await report("after SIGSTOP", next.from - at);
    Deno.kill(pid, "SIGCONT");
    const last = leader;
    await until(async () => (await terms()).find(({ name }) => name === last)!.stopped || undefined, {
      ms: 2_000,
      what: "end of its term",
    });
    await nextTerm(count - 1, 0);
    leader = next.name;
  });

  await t.step(
    "without an API server the leader stops before its Lease runs out, and one leads again after",
    async () => {
      await cluster.killApiServer();
      const at = Date.now();
      await until(async () => (await terms()).at(-1)!.stopped || undefined, { ms: 10_000, what: "end of the term" });
      await report("stopped after", Date.now() - at);
      await cluster.startApiServer();
      const up = Date.now();
      await report("led again after", (await nextTerm(count++, 15_000)).from - up);
    },
  );

  await t.step("all end with 0 at SIGTERM, and the Lease is free", async () => {
    const codes = await Promise.all(
      names.map((name) => cluster.processes.stop(name, "SIGTERM")),
    );
    assert.deepEqual(codes.filter((code) => code !== 0), [137], "all but the one that was killed");
    const { spec } = await cluster.call<{ spec: { holderIdentity?: string; leaseTransitions: number } }>(
      "/apis/coordination.k8s.io/v1/namespaces/data-spacer/leases/data-spacer",
    );
    assert.equal(spec.holderIdentity ?? "", "");
    assert.ok(spec.leaseTransitions >= 3);
  });
});
