import assert from "node:assert/strict";
import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import { settled } from "./fake_clock.ts";
import { FakeLeaseServer, status } from "./fake_lease_server.ts";
import { heldBy, never, start } from "./one_leader.ts";

Deno.test("runLeader() tells its work to stop 2 s before a Lease that it cannot renew runs out", async (t) => {
  const table: [string, () => void | Promise<void>][] = [
    ["connection refused", () => Promise.reject(status(0, "Network"))],
    ["no answer", never],
    ["server error", () => Promise.reject(status(500, "InternalError"))],
    ["forbidden", () => Promise.reject(status(403, "Forbidden"))],
  ];
  for (const [name, fault] of table) {
    await t.step(name, async () => {
      await using r = start();
      await r.clock.advance(4_500); // renewed at 4 s
      r.faults.before = fault;
      await r.clock.advance(7_499);
      assert.deepEqual(r.events, ["0 start"]);
      await r.clock.advance(1);
      assert.deepEqual(r.events, ["0 start", "12000 stop"]);
      await r.clock.advance(100_000);
      assert.equal(r.events.length, 2);
      assert.ok(r.lines.some((line) => line.why === "it could not be renewed in time"));
      const failures = r.lines.filter((line) => line.message === "Cannot get or renew the Lease yet");
      if (fault !== never) assert.ok(failures.length >= 2 && failures.length <= 8, `${failures.length} lines`);
    });
  }
});

Deno.test("runLeader() counts a renewal from when it was sent, not from its answer", async () => {
  await using t = start();
  await t.clock.advance(1_000);
  t.faults.after = (verb) => verb === "replace" ? t.clock.sleep(2_900) : undefined; // sent at 2 s, answered at 4.9 s
  await t.clock.advance(4_000);
  t.faults.before = never;
  await t.clock.advance(4_999);
  assert.deepEqual(t.events, ["0 start"]);
  await t.clock.advance(1);
  assert.deepEqual(t.events, ["0 start", "10000 stop"]);
});

Deno.test("runLeader() does not begin to lead on an answer that came too late", async () => {
  const server = new FakeLeaseServer();
  await using t = start({}, server);
  t.faults.after = (verb) => verb === "create" ? t.clock.sleep(8_000) : undefined;
  await t.clock.advance(8_900);
  assert.deepEqual(t.events, []);
  await t.clock.advance(200);
  assert.deepEqual(t.events, ["9000 start"]);
});

Deno.test("runLeader() takes the lead again when renewals come through again", async () => {
  await using t = start();
  await t.clock.advance(2_500);
  t.faults.before = () => Promise.reject(status(503, "ServiceUnavailable"));
  await t.clock.advance(20_000);
  t.faults.before = () => {};
  await t.clock.advance(1_500);
  assert.deepEqual(t.events.slice(0, 2), ["0 start", "10000 stop"]);
  assert.equal(t.events.length, 3);
});

Deno.test("runLeader() survives a renewal whose answer was lost: the next one is turned away, looks again, and goes on", async () => {
  await using t = start();
  await t.clock.advance(1_000);
  t.faults.after = () => {
    t.faults.after = () => {};
    throw status(0, "Network");
  };
  await t.clock.advance(60_000);
  assert.deepEqual(t.events, ["0 start"]);
});

Deno.test("runLeader() goes on when somebody else wrote to its Lease, or deleted it", async () => {
  await using t = start();
  await t.clock.advance(1_000);
  t.server.store({ ...t.server.lease!, metadata: { ...t.server.lease!.metadata, annotations: { a: "b" } } });
  await t.clock.advance(10_000);
  assert.deepEqual(t.server.lease?.metadata?.annotations, { a: "b" });
  t.server.lease = undefined;
  await t.clock.advance(10_000);
  assert.equal((t.server.lease as Lease | undefined)?.spec?.holderIdentity, "me");
  assert.deepEqual(t.events, ["0 start"]);
});

Deno.test("runLeader() stops its work at once when another holds the Lease, and waits for its turn", async () => {
  await using t = start();
  await t.clock.advance(1_000);
  t.server.store(heldBy("usurper"));
  await t.clock.advance(1_000);
  assert.deepEqual(t.events, ["0 start", "2000 stop"]);
  await t.clock.advance(10_000);
  assert.deepEqual(t.events, ["0 start", "2000 stop", "12000 start"]);
});

Deno.test("runLeader() does not lead again before the work of the last term has stopped", async () => {
  let working = 0;
  await using t = start({
    lead: async (signal) => {
      assert.equal(++working, 1);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      await t.clock.sleep(1_500);
      working--;
    },
  });
  await t.clock.advance(1_000);
  t.server.store(heldBy("")); // a human took it away
  t.faults.before = () => Promise.reject(status(500, "InternalError"));
  await t.clock.advance(7_500);
  t.faults.before = () => {};
  await t.clock.advance(600);
  assert.equal(t.server.lease?.spec?.holderIdentity, "");
  await t.clock.advance(2_000);
  assert.equal(t.server.lease?.spec?.holderIdentity, "me");
  t.stop();
  await t.clock.advance(2_000);
});

Deno.test("runLeader() throws when the work does not stop in time, for the process to end", async () => {
  const t = start({ lead: never });
  await t.clock.advance(1_000);
  t.faults.before = () => Promise.reject(status(500, "InternalError"));
  const ended = assert.rejects(t.running, /Cannot give up the lead/);
  await t.clock.advance(8_999);
  assert.notEqual(await Promise.race([t.running.catch(() => "ended"), settled()]), "ended");
  await t.clock.advance(1);
  await ended;
  assert.equal(t.clock.pending, 0);
});

Deno.test("runLeader() releases the Lease and throws when the work fails", async () => {
  const t = start({ lead: () => Promise.reject(new Error("broken")) });
  await assert.rejects(t.running, /broken/);
  assert.equal(t.server.lease?.spec?.holderIdentity, "");
});

Deno.test("runLeader() stops without a Lease when the API server does not answer, and says what that costs", async () => {
  const t = start();
  await t.clock.advance(2_000);
  t.faults.before = () => Promise.reject(status(503, "ServiceUnavailable"));
  t.stop();
  await t.running;
  assert.ok(
    t.lines.some((line) => line.message === "Cannot release the Lease: the next leader waits until it runs out"),
  );
});

Deno.test("runLeader() releases also when the abort cut a renewal short that the server got", async () => {
  const t = start();
  await t.clock.advance(1_000);
  t.faults.after = (verb) => verb === "replace" ? never() : undefined;
  await t.clock.advance(1_000);
  assert.equal(t.calls.at(-1)?.verb, "replace");
  t.faults.after = () => {};
  t.stop();
  await t.running;
  assert.equal(t.server.lease?.spec?.holderIdentity, "");
});

Deno.test("runLeader() releases also when such a renewal arrives only after it looked", async () => {
  const t = start();
  await t.clock.advance(1_000);
  t.faults.after = (verb) => {
    if (verb !== "get") return never();
    t.faults.after = () => {};
    t.server.store(t.server.lease!);
  };
  await t.clock.advance(1_000);
  t.stop();
  await t.running;
  assert.deepEqual(t.calls.slice(-5).map((call) => call.verb), ["replace", "get", "replace", "get", "replace"]);
  assert.equal(t.server.lease?.spec?.holderIdentity, "");
});

Deno.test("runLeader() tells when it leads and when it does no more", async () => {
  const changes: boolean[] = [];
  await using t = start({ onChange: (leading) => changes.push(leading) });
  await t.clock.advance(1_000);
  assert.deepEqual(changes, [true]);
  t.server.store(heldBy("usurper"));
  await t.clock.advance(1_000);
  assert.deepEqual(changes, [true, false]);
});

Deno.test("runLeader() says in the log that its namespace is missing", async () => {
  await using t = start();
  t.faults.before = () => Promise.reject(status(404, "NotFound"));
  await t.clock.advance(3_000);
  assert.ok(t.lines.some((line) => line.level === "warn" && line.message === "Cannot get or renew the Lease yet"));
});
