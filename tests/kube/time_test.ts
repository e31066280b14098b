import assert from "node:assert/strict";
import { Backoff, Deadline, sleep } from "../../lib/kube/time.ts";

Deno.test("Backoff doubles its bound up to the maximum and starts again after reset()", () => {
  const backoff = new Backoff({ baseMs: 500, maxMs: 30_000, random: () => 0.999999 });
  const waits = Array.from({ length: 9 }, () => backoff.nextMs());
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  assert.equal(backoff.failures, 9);
  backoff.reset();
  assert.equal(backoff.nextMs(), 500);
});

Deno.test("Backoff jitters over the whole bound", () => {
  assert.equal(new Backoff({ baseMs: 500, maxMs: 1, random: () => 0 }).nextMs(), 0);
  const backoff = new Backoff({ baseMs: 500, maxMs: 30_000 });
  for (let i = 0; i < 2000; i++) {
    const wait = backoff.nextMs();
    assert.ok(wait >= 0 && wait <= 30_000);
  }
});

Deno.test("sleep() ends at once, with the reason, when its signal fires", async () => {
  const controller = new AbortController();
  const slept = sleep(60_000, controller.signal);
  controller.abort("enough");
  await assert.rejects(slept, (reason) => reason === "enough");
  await assert.rejects(sleep(0, controller.signal), (reason) => reason === "enough");
  await sleep(1);
});

Deno.test("Deadline fires with its parent, by its clock, or not at all once disposed", async (t) => {
  await t.step("with its parent, and its reason", () => {
    const parent = new AbortController();
    using deadline = new Deadline(parent.signal, 60_000);
    parent.abort("stop");
    assert.deepEqual([deadline.signal.reason, deadline.expired], ["stop", false]);
    using late = new Deadline(parent.signal);
    assert.equal(late.signal.reason, "stop");
  });
  await t.step("by its clock", async () => {
    using deadline = new Deadline(undefined, 1);
    await new Promise((resolve) => deadline.signal.addEventListener("abort", resolve));
    assert.deepEqual([deadline.signal.reason.name, deadline.expired], ["TimeoutError", true]);
  });
  await t.step("not once its clock is stopped or it is disposed", async () => {
    const parent = new AbortController();
    let deadline: Deadline;
    {
      using inner = new Deadline(parent.signal, 1);
      deadline = inner;
      inner.stopClock();
      await sleep(5);
      assert.equal(inner.signal.aborted, false);
    }
    parent.abort();
    assert.equal(deadline.signal.aborted, false);
  });
});
