import assert from "node:assert/strict";
import {
  type ControllerOptions,
  type KeySource,
  type Reconcile,
  runController,
  TerminalError,
} from "../../lib/controller/controller.ts";
import { WorkQueue } from "../../lib/controller/work_queue.ts";
import { createLog } from "../../lib/ops/log.ts";
import { FakeClock, settled } from "./fake_clock.ts";

/** A source that replays `keys` and then says what it is told. */
function fakeSource(...keys: string[]): KeySource & { say(key: string): void; listeners: number } {
  const listeners = new Set<(key: string) => void>();
  return {
    subscribe(listener) {
      listeners.add(listener);
      keys.forEach(listener);
      return () => listeners.delete(listener);
    },
    say: (key) => listeners.forEach((listener) => listener(key)),
    get listeners() {
      return listeners.size;
    },
  };
}

function start(reconcile: Reconcile, options: Partial<ControllerOptions> = {}) {
  const clock = new FakeClock();
  const queue = new WorkQueue({ now: clock.now, setTimer: clock.setTimer, random: () => 0 });
  const stop = new AbortController();
  const results: string[] = [];
  const lines: string[] = [];
  const running = runController({
    name: "test",
    sources: [],
    reconcile,
    workers: 1,
    queue,
    log: createLog({ level: "debug", write: (line) => lines.push(line) }),
    onResult: (result) => results.push(result),
    ...options,
  }, stop.signal);
  return {
    clock,
    queue,
    results,
    lines,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      assert.equal(clock.pending, 0, "a timer is left");
    },
    stop: () => stop.abort(),
    running,
  };
}

Deno.test("runController() reconciles what the sources replay, and then what they say", async () => {
  const seen: string[] = [];
  const a = fakeSource("one", "two"), b = fakeSource("two");
  const t = start((key) => Promise.resolve(void seen.push(key)), { sources: [a, b] });
  await settled();
  assert.deepEqual(seen, ["one", "two"]);
  b.say("three");
  await settled();
  assert.deepEqual(seen, ["one", "two", "three"]);
  assert.deepEqual(t.results, ["success", "success", "success"]);
  await t[Symbol.asyncDispose]();
  assert.equal(a.listeners + b.listeners, 0);
});

Deno.test("runController() follows the retry table", async (t) => {
  const table: { name: string; outcomes: (Error | number | undefined)[]; at: number[]; results: string[] }[] = [
    { name: "success: not again", outcomes: [undefined], at: [0], results: ["success"] },
    {
      name: "error: again with growing waits, and the row ends with a success",
      outcomes: [new Error("x"), new Error("x"), new Error("x"), undefined],
      at: [0, 5, 15, 35],
      results: ["error", "error", "error", "success"],
    },
    {
      name: "terminal error: not again",
      outcomes: [new TerminalError("x")],
      at: [0],
      results: ["terminal"],
    },
    {
      name: "requeue: again after its time, and the row of failures is forgotten",
      outcomes: [new Error("x"), new Error("x"), 1_000, new Error("x"), undefined],
      at: [0, 5, 15, 1_015, 1_020],
      results: ["error", "error", "requeue", "error", "success"],
    },
  ];
  for (const { name, outcomes, at, results } of table) {
    await t.step(name, async () => {
      const times: number[] = [];
      await using c = start(() => {
        const outcome = outcomes[times.length];
        times.push(c.clock.now() - 1_000);
        if (outcome instanceof Error) return Promise.reject(outcome);
        return Promise.resolve(outcome === undefined ? undefined : { requeueAfterMs: outcome });
      });
      c.queue.add("a");
      await c.clock.advance(60_000);
      assert.deepEqual(times, at);
      assert.deepEqual(c.results, results);
    });
  }
});

Deno.test("runController() ends a row of failures with success and with a terminal error", async (t) => {
  for (const end of [undefined, new TerminalError("x")]) {
    await t.step(end?.name ?? "success", async () => {
      const outcomes = [new Error("x"), new Error("x"), end, new Error("x"), undefined];
      const times: number[] = [];
      await using c = start(() => {
        const outcome = outcomes[times.length];
        times.push(c.clock.now() - 1_000);
        return outcome === undefined ? Promise.resolve() : Promise.reject(outcome);
      });
      c.queue.add("a");
      await c.clock.advance(100);
      c.queue.add("a");
      await c.clock.advance(100);
      assert.deepEqual(times, [0, 5, 15, 100, 105]);
    });
  }
});

Deno.test("runController() logs a failure with its key and cause", async () => {
  await using t = start(() => Promise.reject(new Error("Cannot apply: no", { cause: new Error("deeper") })));
  t.queue.add("ns-1");
  await settled();
  const line = JSON.parse(t.lines[0]!);
  assert.equal(line.level, "warn");
  assert.deepEqual([line.key, line.controller, line.error.cause.message, line.retryInMs], [
    "ns-1",
    "test",
    "deeper",
    5,
  ]);
});

Deno.test("runController() survives a reconcile that throws before its first await", async () => {
  let runs = 0;
  await using t = start(() => {
    if (runs++ === 0) throw new Error("at once");
    return Promise.resolve();
  });
  t.queue.add("a");
  await t.clock.advance(10);
  assert.deepEqual(t.results, ["error", "success"]);
});

Deno.test("runController() works on at most `workers` keys, each once, at the same time", async () => {
  const now = new Set<string>();
  let most = 0;
  await using t = start(async (key, signal) => {
    assert.ok(!now.has(key), "twice at once");
    now.add(key);
    most = Math.max(most, now.size);
    await t.clock.sleep(10, signal).catch(() => {});
    now.delete(key);
  }, { workers: 4 });
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 20; i++) t.queue.add(`k${i}`);
    await t.clock.advance(3);
  }
  await t.clock.advance(1_000);
  assert.equal(most, 4);
  assert.ok(t.results.length >= 20 && t.results.every((result) => result === "success"));
});

Deno.test("runController() waits for the runs under way when aborted, and takes no other key", async () => {
  const events: string[] = [];
  const t = start(async (key, signal) => {
    events.push(`start ${key}`);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    await t.clock.sleep(50);
    events.push(`end ${key}`);
  });
  t.queue.add("a");
  t.queue.add("b");
  await settled();
  t.stop();
  t.running.then(() => events.push("stopped"));
  await t.clock.advance(49);
  assert.deepEqual(events, ["start a"]);
  await t.clock.advance(1);
  assert.deepEqual(events, ["start a", "end a", "stopped"]);
  assert.equal(t.queue.stats().depth, 0, "the next term begins with an empty queue");
});

Deno.test("runController() neither counts nor logs runs that the abort cut short", async () => {
  const t = start((_key, signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
  );
  t.queue.add("a");
  await settled();
  t.stop();
  await t.running;
  assert.deepEqual([t.results, t.lines], [[], []]);
});

Deno.test("runController() starts anew with the same queue, term after term", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue({ now: clock.now, setTimer: clock.setTimer });
  const source = fakeSource("a", "b");
  for (let term = 0; term < 3; term++) {
    const stop = new AbortController();
    const seen: string[] = [];
    const running = runController({
      name: "test",
      sources: [source],
      reconcile: (key) => {
        seen.push(key);
        return key === "b" ? Promise.reject(new Error("always")) : Promise.resolve({ requeueAfterMs: 60_000 });
      },
      workers: 2,
      queue,
      log: createLog({ level: "error" }),
    }, stop.signal);
    await settled();
    assert.deepEqual(seen, ["a", "b"]);
    await clock.advance(2 ** 8);
    stop.abort();
    await running;
    assert.deepEqual(queue.stats(), { depth: 0, oldestMs: 0 });
    assert.deepEqual([source.listeners, clock.pending], [0, 0]);
    source.say("lost on nobody");
  }
});

Deno.test("runController() throws what a source throws, and leaves the others", async () => {
  const source = fakeSource();
  const broken: KeySource = {
    subscribe: () => {
      throw new Error("no");
    },
  };
  const t = start(() => Promise.resolve(), { sources: [source, broken] });
  await assert.rejects(t.running, /no/);
  assert.equal(source.listeners, 0);
});

Deno.test("runController() stops all workers and throws when one fails outside of reconcile", async () => {
  const aborted: string[] = [];
  const t = start(async (key, signal) => {
    if (key === "bad") return;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    aborted.push(key);
  }, {
    workers: 2,
    onResult: () => {
      throw new Error("broken metric");
    },
  });
  t.queue.add("good");
  t.queue.add("bad");
  await assert.rejects(t.running, /broken metric/);
  assert.deepEqual(aborted, ["good"]);
});
