import assert from "node:assert/strict";
import { KubeError } from "../../lib/kube/errors.ts";
import { EventRecorder, type EventRecorderOptions, type Occurrence } from "../../lib/kube/events.ts";
import { sleep } from "../../lib/kube/time.ts";

type Body = Record<string, unknown> & { metadata: { name: string; namespace: string } };

/** A recorder, and an API server that keeps Events in memory and fails when told to. */
function setup(options: Partial<EventRecorderOptions> = {}) {
  const events = new Map<string, Body>();
  const calls: string[] = [], logs: [string, unknown][] = [], waits: number[] = [];
  const failures: KubeError[] = [];
  const clock = { ms: Date.parse("2026-01-02T03:04:05.600Z") };
  const answer = <T>(call: string, run: () => T): Promise<T> => {
    calls.push(call);
    const failure = failures.shift();
    return failure ? Promise.reject(failure) : new Promise((resolve) => resolve(run()));
  };
  const missing = (name: string) => new KubeError({ status: 404, reason: "NotFound", message: `no ${name}` });
  const client = {
    create: (_: unknown, body: Body) =>
      answer("create", () => {
        const { name } = body.metadata;
        if (events.has(name)) throw new KubeError({ status: 409, reason: "AlreadyExists", message: name });
        events.set(name, body);
        return body;
      }),
    get: (_: unknown, { name }: { name: string }) =>
      answer("get", () => {
        const event = events.get(name);
        if (!event) throw missing(name);
        return event;
      }),
    mergePatch: (_: unknown, patch: object, { name }: { name: string }) =>
      answer("patch", () => {
        const event = events.get(name);
        if (!event) throw missing(name);
        events.set(name, { ...event, ...patch });
        return event;
      }),
  } as unknown as EventRecorderOptions["client"];
  const recorder = new EventRecorder({
    client,
    component: "data-spacer",
    instance: "data-spacer-0",
    log: { debug() {}, error() {}, warn: (message, fields) => void logs.push([message, fields]) },
    now: () => clock.ms,
    random: () => 0.9999,
    sleep: (ms) => {
      waits.push(ms);
      return new Promise((resolve) => setTimeout(resolve, 0));
    },
    ...options,
  });
  const controller = new AbortController();
  let running: Promise<void> | undefined;
  return {
    recorder,
    events,
    calls,
    logs,
    waits,
    failures,
    clock,
    /** Runs the recorder until it has nothing left to do. */
    async settle(): Promise<void> {
      running ??= recorder.run(controller.signal);
      for (let quiet = 0, seen = -1; quiet < 5;) {
        await sleep(1);
        quiet = calls.length + waits.length === seen ? quiet + 1 : 0;
        seen = calls.length + waits.length;
      }
    },
    async [Symbol.asyncDispose](): Promise<void> {
      controller.abort();
      await running;
    },
  };
}

function drift(message = "ConfigMap changed", name = "tenant"): Occurrence {
  return { regarding: { name, uid: `uid-${name}` }, type: "Warning", reason: "ObjectDrift", message };
}

Deno.test("EventRecorder writes an Event that regards the Namespace, in default", async () => {
  await using s = setup();
  s.recorder.record(drift());
  await s.settle();
  const [event] = s.events.values();
  const { metadata, ...rest } = event!;
  assert.match(metadata.name, /^tenant\.[0-9a-f]{16}$/);
  assert.equal(metadata.namespace, "default");
  assert.deepEqual(rest, {
    apiVersion: "v1",
    kind: "Event",
    involvedObject: { apiVersion: "v1", kind: "Namespace", name: "tenant", uid: "uid-tenant" },
    type: "Warning",
    reason: "ObjectDrift",
    message: "ConfigMap changed",
    count: 1,
    firstTimestamp: "2026-01-02T03:04:05Z",
    lastTimestamp: "2026-01-02T03:04:05Z",
    source: { component: "data-spacer" },
    reportingComponent: "data-spacer",
    reportingInstance: "data-spacer-0",
  });
});

Deno.test("EventRecorder counts the same again in one Event, and what differs in others", async () => {
  await using s = setup();
  s.recorder.record({ ...drift("by alice"), key: "ConfigMap" });
  await s.settle();
  for (const name of ["bob", "carol"]) {
    s.clock.ms += 60_000;
    s.recorder.record({ ...drift(`by ${name}`), key: "ConfigMap" });
  }
  s.recorder.record(drift("NetworkPolicy changed"));
  s.recorder.record(drift("ConfigMap changed", "other"));
  await s.settle();
  const [first, ...others] = s.events.values();
  assert.deepEqual(
    [first!.count, first!.message, first!.firstTimestamp, first!.lastTimestamp],
    [3, "by carol", "2026-01-02T03:04:05Z", "2026-01-02T03:06:05Z"],
  );
  assert.deepEqual(others.map((event) => event.count), [1, 1]);
  assert.deepEqual(s.calls, ["create", "patch", "create", "create"]);
});

Deno.test("EventRecorder begins a new Event when the window is over", async () => {
  await using s = setup({ windowMs: 10_000 });
  s.recorder.record(drift());
  await s.settle();
  s.clock.ms += 10_000;
  s.recorder.record(drift());
  await s.settle();
  s.clock.ms += 10_001;
  s.recorder.record(drift());
  await s.settle();
  assert.deepEqual([...s.events.values()].map((event) => event.count), [2, 1]);
});

Deno.test("EventRecorder goes on with the Event of another replica, or of its own before a restart", async () => {
  await using before = setup();
  before.recorder.record(drift());
  before.recorder.record(drift());
  await before.settle();
  await using after = setup();
  for (const [name, event] of before.events) after.events.set(name, event);
  after.recorder.record(drift());
  await after.settle();
  assert.deepEqual([...after.events.values()].map((event) => event.count), [3]);
  after.recorder.record(drift());
  await after.settle();
  assert.deepEqual([...after.events.values()].map((event) => event.count), [4]);
});

Deno.test("EventRecorder writes an Event anew that the API server has forgotten", async () => {
  await using s = setup();
  s.recorder.record(drift());
  await s.settle();
  s.events.clear();
  s.recorder.record(drift());
  await s.settle();
  assert.deepEqual([...s.events.values()].map((event) => event.count), [2]);
});

Deno.test("EventRecorder paces its writes", async () => {
  await using s = setup({ pauseMs: 70 });
  for (let i = 0; i < 5; i++) s.recorder.record(drift(`message ${i}`));
  await s.settle();
  assert.deepEqual(s.waits, [70, 70, 70, 70, 70]);
});

Deno.test("EventRecorder drops what does not fit, says how much, and never grows", async () => {
  await using s = setup({ maxSeries: 10 });
  for (let i = 0; i < 1000; i++) s.recorder.record(drift(`message ${i}`));
  await s.settle();
  assert.equal(s.events.size, 10);
  assert.deepEqual(s.logs, [["Events dropped", { count: 990 }]]);
  s.recorder.record(drift("message 0"));
  await s.settle();
  s.recorder.record(drift("later")); // the least recent one makes room: message 1
  await s.settle();
  assert.equal(s.events.size, 11);
  s.calls.splice(0);
  s.recorder.record(drift("message 0"));
  s.recorder.record(drift("message 1"));
  await s.settle();
  assert.deepEqual(s.calls, ["patch", "create", "get", "patch"]);
});

Deno.test("EventRecorder survives every failure", async (t) => {
  const error = (status: number) => new KubeError({ status, reason: "", message: `failed ${status}` });
  await t.step("what may succeed later is tried again, with backoff", async () => {
    await using s = setup();
    s.failures.push(error(503), error(0));
    s.recorder.record(drift());
    await s.settle();
    assert.deepEqual(s.calls, ["create", "create", "create"]);
    assert.deepEqual(s.waits, [1000, 2000, 100]);
    assert.equal(s.events.size, 1);
  });
  await t.step("five times at most", async () => {
    await using s = setup();
    s.failures.push(...Array.from({ length: 5 }, () => error(500)));
    s.recorder.record(drift());
    await s.settle();
    assert.equal(s.calls.length, 5);
    assert.equal(s.logs.length, 5);
  });
  await t.step("what cannot succeed is logged and left", async () => {
    await using s = setup();
    s.failures.push(error(403));
    s.recorder.record(drift("refused"));
    s.recorder.record(drift("fine"));
    await s.settle();
    assert.deepEqual([...s.events.values()].map((event) => event.message), ["fine"]);
    assert.equal(s.logs[0]![0], "Cannot write Event");
  });
});

Deno.test("EventRecorder.flush() writes the rest without pauses, within its time", async (t) => {
  await t.step("all of it", async () => {
    await using s = setup();
    for (let i = 0; i < 3; i++) s.recorder.record(drift(`message ${i}`));
    await s.recorder.flush(new AbortController().signal);
    assert.deepEqual([s.events.size, s.waits, s.logs], [3, [], []]);
  });
  await t.step("nothing is tried twice", async () => {
    await using s = setup();
    s.failures.push(new KubeError({ status: 503, reason: "", message: "down" }));
    for (let i = 0; i < 3; i++) s.recorder.record(drift(`message ${i}`));
    await s.recorder.flush(new AbortController().signal);
    assert.equal(s.calls.length, 3);
    assert.deepEqual(s.logs.at(-1), ["Events lost", { count: 1 }]);
  });
  await t.step("not after its time", async () => {
    await using s = setup();
    s.recorder.record(drift());
    await s.recorder.flush(AbortSignal.abort());
    assert.deepEqual([s.calls, s.logs], [[], [["Events lost", { count: 1 }]]]);
  });
});

Deno.test("EventRecorder cleans messages for the terminal, and cuts them at 1024 bytes", async () => {
  await using s = setup();
  s.recorder.record(drift("a\u001b[31mred\nline\u0000"));
  s.recorder.record(drift("ä".repeat(2000)));
  await s.settle();
  const [first, second] = [...s.events.values()].map((event) => event.message as string);
  assert.equal(first, "a [31mred line ");
  const bytes = new TextEncoder().encode(second).length;
  assert.ok(bytes <= 1024 && bytes > 1000, `${bytes}`);
  assert.match(second!, /^ä+…$/);
});
