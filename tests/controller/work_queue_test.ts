import assert from "node:assert/strict";
import { WorkQueue, type WorkQueueOptions } from "../../lib/controller/work_queue.ts";
import { FakeClock, settled } from "./fake_clock.ts";

/** A queue on a fake clock, whose only taker holds what it took until told. */
function start(options: WorkQueueOptions = {}, takers = 1) {
  const clock = new FakeClock();
  const queue = new WorkQueue({ now: clock.now, setTimer: clock.setTimer, random: () => 0, ...options });
  const stop = new AbortController();
  const taken: string[] = [];
  const release: Record<string, () => void> = {};
  const ended = Array.from({ length: takers }, async () => {
    for await (const key of queue.take(stop.signal)) {
      taken.push(key);
      await new Promise<void>((resolve) => release[key] = resolve);
      queue.done(key);
    }
  });
  return {
    clock,
    queue,
    taken,
    /** Ends the run of a key. */
    finish: async (key: string) => {
      release[key]!();
      await settled();
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await settled();
      for (const done of Object.values(release)) done();
      await Promise.all(ended);
      assert.equal(clock.pending, 0, "a timer is left");
    },
  };
}

Deno.test("WorkQueue gives a key once, however often it was added", async () => {
  await using t = start();
  t.queue.add("a");
  t.queue.add("a");
  t.queue.add("a", 50);
  await settled();
  await t.finish("a");
  await t.clock.advance(100);
  assert.deepEqual(t.taken, ["a"]);
});

Deno.test("WorkQueue never runs a key twice at once; added while it runs, it comes again after done", async () => {
  await using t = start({}, 2);
  t.queue.add("a");
  await settled();
  t.queue.add("a");
  t.queue.add("a");
  await t.clock.advance(1_000);
  assert.deepEqual(t.taken, ["a"]);
  await t.finish("a");
  assert.deepEqual(t.taken, ["a", "a"]);
  await t.finish("a");
  assert.deepEqual(t.taken, ["a", "a"]);
});

Deno.test("WorkQueue lets the earlier of several times win", async (t) => {
  const table = [
    { name: "later, then earlier", delays: [500, 100], expected: 100 },
    { name: "earlier, then later", delays: [100, 500], expected: 100 },
    { name: "later, then now", delays: [500, 0], expected: 0 },
  ];
  for (const { name, delays, expected } of table) {
    await t.step(`${name}, waiting`, async () => {
      await using q = start();
      for (const delay of delays) q.queue.add("a", delay);
      if (expected > 0) await q.clock.advance(expected - 1);
      assert.deepEqual(q.taken, []);
      await q.clock.advance(1);
      assert.deepEqual(q.taken, ["a"]);
      await q.finish("a");
      await q.clock.advance(1_000);
      assert.deepEqual(q.taken, ["a"]);
    });
    await t.step(`${name}, running`, async () => {
      await using q = start();
      q.queue.add("a");
      await settled();
      for (const delay of delays) q.queue.add("a", delay);
      await q.finish("a");
      if (expected > 0) {
        await q.clock.advance(expected - 1);
        assert.equal(q.taken.length, 1);
        await q.clock.advance(1);
      }
      assert.equal(q.taken.length, 2);
    });
  }
});

Deno.test("WorkQueue gives keys in the order in which they are due, equal ones first come first", async () => {
  await using t = start();
  t.queue.add("late", 20);
  t.queue.add("soon", 10);
  for (const key of ["a", "b", "c"]) t.queue.add(key);
  await t.clock.advance(30);
  for (const key of ["a", "b", "c", "soon"]) await t.finish(key);
  assert.deepEqual(t.taken, ["a", "b", "c", "soon", "late"]);
});

Deno.test("WorkQueue.retry() doubles the wait of a key up to the cap; forget() starts over", async () => {
  await using t = start();
  const waits = Array.from({ length: 15 }, () => t.queue.retry("a"));
  assert.deepEqual(waits.slice(0, 4), [5, 10, 20, 40]);
  assert.deepEqual(waits.slice(-3), [20_480, 30_000, 30_000]);
  assert.equal(t.queue.retry("b"), 5);
  t.queue.forget("a");
  assert.equal(t.queue.retry("a"), 5);
});

Deno.test("WorkQueue.retry() takes off up to half of the wait by chance", () => {
  const queue = new WorkQueue({ random: () => 0.999, backoff: { firstMs: 100, capMs: 1_000 } });
  const waits = [queue.retry("a"), queue.retry("a")];
  assert.deepEqual(waits.map(Math.round), [50, 100]);
});

Deno.test("WorkQueue runs a failed key at once when it changes, in spite of its wait", async () => {
  await using t = start({ backoff: { firstMs: 10_000, capMs: 10_000 } });
  t.queue.retry("a");
  await t.clock.advance(10);
  assert.deepEqual(t.taken, []);
  t.queue.add("a");
  await settled();
  assert.deepEqual(t.taken, ["a"]);
});

Deno.test("WorkQueue keeps one timer for all delayed keys, and none when nobody waits", async () => {
  const t = start();
  for (let i = 0; i < 100; i++) t.queue.add(`k${i}`, 1_000 - i);
  await settled();
  assert.equal(t.clock.pending, 1);
  await t.clock.advance(901);
  assert.deepEqual(t.taken, ["k99"]);
  assert.equal(t.clock.pending, 0, "the only taker is busy");
  await t[Symbol.asyncDispose]();
});

Deno.test("WorkQueue waits for keys beyond the longest timer, without a timer each millisecond", async () => {
  const clock = new FakeClock();
  let timers = 0;
  await using t = start({
    now: clock.now,
    setTimer: (wake, ms) => {
      timers++;
      return clock.setTimer(wake, ms);
    },
  });
  t.queue.add("a", 2 ** 31 + 1_000);
  await clock.advance(2 ** 31);
  assert.deepEqual(t.taken, []);
  await clock.advance(1_000);
  assert.deepEqual(t.taken, ["a"]);
  assert.equal(timers, 2);
});

Deno.test("WorkQueue shares due keys among all takers", async () => {
  await using t = start({}, 3);
  await settled();
  for (const key of ["a", "b", "c", "d"]) t.queue.add(key, 100);
  await t.clock.advance(100);
  assert.deepEqual(t.taken, ["a", "b", "c"]);
  await t.finish("b");
  assert.deepEqual(t.taken, ["a", "b", "c", "d"]);
});

Deno.test("WorkQueue hands a key on when the taker woken for it stops", async () => {
  const queue = new WorkQueue();
  const got: string[] = [];
  const take = async (name: string, signal: AbortSignal) => {
    for await (const key of queue.take(signal)) {
      got.push(`${name} ${key}`);
      queue.done(key);
    }
  };
  const stopFirst = new AbortController(), stopSecond = new AbortController();
  const takers = [take("first", stopFirst.signal), take("second", stopSecond.signal)];
  await settled();
  queue.add("a"); // wakes the first taker, which is aborted before it gets to run
  stopFirst.abort();
  await settled();
  assert.deepEqual(got, ["second a"]);
  stopSecond.abort();
  await Promise.all(takers);
});

Deno.test("WorkQueue.take() gives nothing after the abort, though keys are due", async () => {
  const queue = new WorkQueue();
  const stop = new AbortController();
  const taken: string[] = [];
  for (const key of ["a", "b", "c"]) queue.add(key);
  for await (const key of queue.take(stop.signal)) {
    taken.push(key);
    if (key === "b") stop.abort();
    queue.done(key);
  }
  assert.deepEqual(taken, ["a", "b"]);
});

Deno.test("WorkQueue.clear() drops what waits and the failures, and a run under way comes to its end", async () => {
  await using t = start();
  t.queue.add("running");
  await settled();
  t.queue.add("running");
  t.queue.add("due");
  t.queue.add("delayed", 10);
  t.queue.retry("failed");
  t.queue.clear();
  assert.equal(t.queue.retry("failed"), 5);
  t.queue.clear();
  await t.finish("running");
  await t.clock.advance(100);
  assert.deepEqual(t.taken, ["running"]);
  t.queue.add("running");
  await settled();
  assert.deepEqual(t.taken, ["running", "running"]);
});

Deno.test("WorkQueue.stats() counts the keys that are due and the wait of the oldest", async () => {
  await using t = start();
  assert.deepEqual(t.queue.stats(), { depth: 0, oldestMs: 0 });
  for (const key of ["running", "a", "b"]) t.queue.add(key);
  t.queue.add("delayed", 60);
  await t.clock.advance(50);
  assert.deepEqual(t.queue.stats(), { depth: 2, oldestMs: 50 });
  await t.clock.advance(20);
  assert.deepEqual(t.queue.stats(), { depth: 3, oldestMs: 70 });
});
