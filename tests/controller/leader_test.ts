import assert from "node:assert/strict";
import { leaderIdentity } from "../../lib/controller/leader.ts";
import { FakeClock, settled } from "./fake_clock.ts";
import { FakeLeaseServer } from "./fake_lease_server.ts";
import { heldBy, start } from "./one_leader.ts";

Deno.test("runLeader() creates the Lease, leads, renews at a fifth of its duration", async () => {
  await using t = start();
  await t.clock.advance(6_500);
  assert.deepEqual(t.events, ["0 start"]);
  assert.deepEqual(t.calls.map((call) => `${call.at} ${call.verb}`), [
    "0 get",
    "0 create",
    "2000 replace",
    "4000 replace",
    "6000 replace",
  ]);
  const { apiVersion, kind, spec } = t.calls[1]!.object!;
  assert.deepEqual([apiVersion, kind], ["coordination.k8s.io/v1", "Lease"]);
  assert.equal(spec?.holderIdentity, "me");
  assert.notEqual(t.server.lease?.spec?.renewTime, spec?.renewTime);
});

Deno.test("runLeader() waits for another's Lease to run out by its own clock, and keeps what else is in it", async () => {
  const server = new FakeLeaseServer();
  server.store(heldBy("other", "2099-01-01T00:00:00.000000Z"));
  await using t = start({}, server);
  await t.clock.advance(9_999);
  assert.deepEqual(t.events, []);
  await t.clock.advance(1);
  assert.deepEqual(t.events, ["10000 start"]);
  assert.deepEqual(server.lease?.metadata?.labels, { kept: "yes" });
  assert.equal(server.lease?.spec?.leaseTransitions, 8);
});

Deno.test("runLeader() lets another lead as long as it renews, and names it in the log once", async () => {
  const server = new FakeLeaseServer();
  await using t = start({}, server);
  server.store(heldBy("other"));
  for (let i = 0; i < 30; i++) {
    await t.clock.advance(2_000);
    server.store(heldBy("other", `renewal ${i}`));
  }
  assert.deepEqual(t.events, []);
  assert.deepEqual(t.lines.map((line) => [line.message, line.holder]), [["Another replica leads", "other"]]);
});

Deno.test("runLeader() releases the Lease when stopped, after its work, so that the next one leads within a look", async () => {
  const server = new FakeLeaseServer();
  const clock = new FakeClock();
  const first = start(
    {
      lead: async (signal) => {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        await clock.sleep(500);
        assert.equal(server.lease?.spec?.holderIdentity, "me", "released before the work had stopped");
      },
    },
    server,
    clock,
  );
  await settled();
  await using second = start({ identity: "next" }, server, clock);
  await clock.advance(5_000);
  first.stop();
  await clock.advance(500);
  await first.running;
  assert.deepEqual([server.lease?.spec?.holderIdentity, server.lease?.spec?.leaseDurationSeconds], ["", 1]);
  await clock.advance(1_000);
  assert.deepEqual(second.events, ["6000 start"]);
});

Deno.test("runLeader() follows a leader that was killed within 11 s of its last renewal", async () => {
  const server = new FakeLeaseServer();
  await using t = start({ random: () => 0.999 }, server);
  server.store(heldBy("killed"));
  await t.clock.advance(1_100);
  server.store(heldBy("killed", "its last renewal"));
  await t.clock.advance(11_500);
  assert.equal(t.events.length, 1);
});

Deno.test("leaderIdentity() differs for a restarted pod of the same name", () => {
  assert.match(leaderIdentity("pod-1"), /^pod-1_[0-9a-f-]{36}$/);
  assert.notEqual(leaderIdentity("pod-1"), leaderIdentity("pod-1"));
});
