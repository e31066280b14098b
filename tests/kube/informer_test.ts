import assert from "node:assert/strict";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { type Change, Informer, type InformerOptions } from "../../lib/kube/informer.ts";
import { resources } from "../../lib/kube/resources.ts";
import { sleep } from "../../lib/kube/time.ts";
import { type Call, event, list, object, ScriptedServer, status, stream } from "./scripted_server.ts";

const PATH = "/api/v1/configmaps";

/** What tests remember of a ConfigMap. */
type Value = string;

/** A list call; the answer is a page, or anything else. */
function listCall(answer: Call["answer"], token: string | null = null): Call {
  return { path: PATH, query: { watch: null, limit: "250", continue: token }, answer };
}

/** A watch call that must go on from `resourceVersion`. */
function watchCall(resourceVersion: string, answer: Call["answer"]): Call {
  return { path: PATH, query: { watch: "true", allowWatchBookmarks: "true", resourceVersion }, answer };
}

const hang = (...pieces: (string | Uint8Array)[]): Call["answer"] => () => stream(pieces, "hang");
const expired = () => status(410, "Expired", "too old resource version");
const bookmark = (resourceVersion: string): string => event("BOOKMARK", { metadata: { resourceVersion } });

/** An informer on a scripted server, and all that it did. */
function start(server: ScriptedServer, options: Partial<InformerOptions<Value, ConfigMap>> = {}) {
  const changes: string[] = [], restarts: string[] = [], logs: string[] = [], waits: number[] = [];
  const clock = { ms: 0 };
  const log = (message: string): void => void logs.push(message);
  const client = server.client();
  const informer = new Informer<Value, ConfigMap>({
    client,
    resource: resources.ConfigMap,
    project: (object) => object.data?.k ?? "-",
    log: { debug: () => {}, warn: log, error: log },
    now: () => clock.ms,
    // Waits of the backoff end at once; the guard against stalls waits until the watch ends.
    sleep: (ms, signal) => {
      if (ms >= 100_000) return sleep(2 ** 30, signal);
      waits.push(ms);
      return new Promise((resolve) => setTimeout(resolve, 0));
    },
    random: () => 0,
    onRestart: (reason) => restarts.push(reason),
    ...options,
  });
  informer.subscribe(({ type, key, value, old }: Change<Value>) => {
    changes.push(`${type} ${key} ${old === undefined ? "" : `${old}->`}${value}`);
  });
  const controller = new AbortController();
  const running = informer.run(controller.signal);
  return {
    informer,
    changes,
    restarts,
    logs,
    waits,
    clock,
    controller,
    running,
    /** Waits until `count` changes were seen and the script has run to its end. */
    async seen(count: number): Promise<void> {
      await server.finished();
      const deadline = Date.now() + 2_000;
      while (changes.length < count && Date.now() < deadline) await sleep(1);
      assert.equal(changes.length, count, changes.join("\n"));
    },
    async [Symbol.asyncDispose](): Promise<void> {
      controller.abort();
      await running;
      client[Symbol.dispose]();
    },
  };
}

const a1 = object("a", "1", { k: "one" }), a2 = object("a", "6", { k: "two" }), b = object("b", "2", { k: "bee" });

Deno.test("Informer.run() lists, then watches, and tells its handlers", async () => {
  await using server = new ScriptedServer([
    { ...listCall(() => list("5", [a1, b])), query: { labelSelector: "x=y", fieldSelector: "f=g", limit: "100" } },
    {
      ...watchCall(
        "5",
        hang(event("MODIFIED", a2), event("DELETED", b), event("ADDED", object("c", "8", { k: "sea" }))),
      ),
      query: { labelSelector: "x=y", fieldSelector: "f=g", resourceVersion: "5", timeoutSeconds: "450" },
    },
  ]);
  await using run = start(server, { labelSelector: "x=y", fieldSelector: "f=g", pageSize: 100, random: () => 0.5 });
  assert.equal(run.informer.hasSynced, false);
  await run.informer.synced;
  assert.equal(run.informer.hasSynced, true);
  await run.seen(5);
  assert.deepEqual(run.changes, [
    "added tenant/a one",
    "added tenant/b bee",
    "updated tenant/a one->two",
    "deleted tenant/b bee",
    "added tenant/c sea",
  ]);
  assert.deepEqual([run.informer.size, run.informer.get("tenant/a"), run.informer.get("tenant/b")], [
    2,
    "two",
    undefined,
  ]);
  assert.deepEqual([...run.informer.values()], ["two", "sea"]);
  assert.deepEqual(run.restarts, []);
});

Deno.test("Informer.run() goes on after each fault of the watch with nothing lost and nothing twice", async (t) => {
  const begin = [listCall(() => list("5", [a1]))];
  const added = ["added tenant/a one"];
  const updated = [...added, "updated tenant/a one->two"];
  const half = event("MODIFIED", a2);
  const umlaut = new TextEncoder().encode(event("MODIFIED", object("a", "6", { k: "Zürich 🏥" })));
  const relisted = [listCall(() => list("9", [a2])), watchCall("9", hang())];
  const cases: { name: string; calls: Call[]; changes: string[]; restarts: string[]; waits?: number[] }[] = [
    {
      name: "410 as a status: list again",
      calls: [...begin, watchCall("5", expired), ...relisted],
      changes: updated,
      restarts: ["expired"],
    },
    {
      name: "410 as an event: list again",
      calls: [
        ...begin,
        watchCall(
          "5",
          () => stream([event("ERROR", { kind: "Status", code: 410, reason: "Expired", message: "old" })]),
        ),
        ...relisted,
      ],
      changes: updated,
      restarts: ["expired"],
    },
    {
      name: "cut in the middle of a line: go on from the last whole one",
      calls: [
        ...begin,
        watchCall("5", () => stream([event("ADDED", b) + half.slice(0, 40)], "cut")),
        watchCall("2", hang(half)),
      ],
      changes: ["added tenant/a one", "added tenant/b bee", "updated tenant/a one->two"],
      restarts: ["interrupted"],
    },
    {
      name: "ended in the middle of a line",
      calls: [...begin, watchCall("5", () => stream([half.slice(0, 40)])), watchCall("5", hang(half))],
      changes: updated,
      restarts: ["interrupted"],
    },
    {
      name: "a character split between chunks",
      calls: [...begin, watchCall("5", hang(...Array.from(umlaut, (byte) => new Uint8Array([byte]))))],
      changes: [...added, "updated tenant/a one->Zürich 🏥"],
      restarts: [],
    },
    {
      name: "bookmarks only, then cut: go on from the last bookmark",
      calls: [
        ...begin,
        watchCall("5", () => stream([bookmark("100"), bookmark("200")], "cut")),
        watchCall("200", hang(event("MODIFIED", object("a", "201", { k: "two" })))),
      ],
      changes: updated,
      restarts: ["interrupted"],
    },
    {
      name: "429 with Retry-After: wait as asked, go on",
      calls: [
        ...begin,
        watchCall("5", () => status(429, "TooManyRequests", "busy", { "retry-after": "7" })),
        watchCall("5", hang(half)),
      ],
      changes: updated,
      restarts: ["refused"],
      waits: [7000],
    },
    {
      name: "503 of a starting server: go on",
      calls: [...begin, watchCall("5", () => new Response("starting", { status: 503 })), watchCall("5", hang(half))],
      changes: updated,
      restarts: ["refused"],
    },
    {
      name: "500, as for a version that the server cannot know after a restore: list again",
      calls: [...begin, watchCall("5", () => status(500, "InternalError", "oops")), ...relisted],
      changes: updated,
      restarts: ["refused"],
    },
    {
      name: "403: list again, and say so",
      calls: [...begin, watchCall("5", () => status(403, "Forbidden", "no")), ...relisted],
      changes: updated,
      restarts: ["refused"],
    },
    {
      name: "a list that fails before a good one",
      calls: [
        listCall(() => status(503, "ServiceUnavailable", "not yet")),
        listCall(() => stream(['{"metadata":{"resourceVersion":"4"},"items":[{"metadata":{'], "cut")),
        listCall(() => new Response("<html>login</html>")),
        ...begin,
        watchCall("5", hang(half)),
      ],
      changes: updated,
      restarts: ["refused", "interrupted", "malformed"],
    },
    {
      name: "410 between pages: what the first pages said is forgotten",
      calls: [
        listCall(() => list("5", [object("gone", "1", { k: "ghost" })], "next")),
        listCall(expired, "next"),
        listCall(() => list("9", [a1])),
        watchCall("9", hang(half)),
      ],
      changes: [
        "added tenant/gone ghost",
        "added tenant/a one",
        "deleted tenant/gone ghost",
        "updated tenant/a one->two",
      ],
      restarts: [],
    },
    {
      name: "the same event twice: told once",
      calls: [...begin, watchCall("5", hang(event("ADDED", a1), half, half, event("DELETED", b)))],
      changes: updated,
      restarts: [],
    },
    {
      name: "a line that is no JSON: list again",
      calls: [...begin, watchCall("5", hang('{"type":"MODIFIED","object":{]}\n', half)), ...relisted],
      changes: updated,
      restarts: ["malformed"],
    },
    {
      name: "an event of an unknown type: list again",
      calls: [...begin, watchCall("5", hang(event("RENAMED", a2))), ...relisted],
      changes: updated,
      restarts: ["malformed"],
    },
    {
      name: "an event without an object: list again",
      calls: [...begin, watchCall("5", hang('{"type":"ADDED"}\n')), ...relisted],
      changes: updated,
      restarts: ["malformed"],
    },
    {
      name: "a value that is no event: list again",
      calls: [...begin, watchCall("5", hang("null\n")), ...relisted],
      changes: updated,
      restarts: ["malformed"],
    },
    {
      name: "a watch that ends at once: wait before the next",
      calls: [...begin, watchCall("5", () => stream([])), watchCall("5", () => stream([])), watchCall("5", hang(half))],
      changes: updated,
      restarts: ["interrupted", "interrupted"],
      waits: [0, 0],
    },
  ];
  for (const { name, calls, changes, restarts, waits } of cases) {
    await t.step(name, async () => {
      await using server = new ScriptedServer(calls);
      await using run = start(server);
      await run.seen(changes.length);
      assert.deepEqual(run.changes, changes);
      assert.deepEqual(run.restarts, restarts);
      assert.equal(run.logs.length, restarts.length, run.logs.join());
      if (waits) assert.deepEqual(run.waits, waits);
    });
  }
});

Deno.test("Informer.run() finds what changed while it could not watch, and nothing else", async () => {
  const same = object("same", "3", { k: "same" });
  await using server = new ScriptedServer([
    listCall(() => list("5", [a1, b, same])),
    watchCall("5", expired),
    listCall(() => list("9", [a2, same, object("c", "8", { k: "sea" })])),
    watchCall("9", hang()),
  ]);
  await using run = start(server);
  await run.seen(6);
  assert.deepEqual(run.changes.slice(3), [
    "updated tenant/a one->two",
    "added tenant/c sea",
    "deleted tenant/b bee",
  ]);
});

Deno.test("Informer.run() goes on at once, with no word, when the server's time is over", async () => {
  const clock = { ms: 0 };
  const over: Call["answer"] = () => {
    clock.ms += 400_000;
    return stream([bookmark("7")]);
  };
  await using server = new ScriptedServer([
    listCall(() => list("5", [])),
    watchCall("5", over),
    watchCall("7", hang()),
  ]);
  await using run = start(server, { now: () => clock.ms, stallMs: 1e9 });
  await run.seen(0);
  assert.deepEqual([run.restarts, run.waits, run.logs], [["ended"], [], []]);
});

Deno.test("Informer.run() drops a watch on which nothing arrives, and only such a one", async () => {
  const closed = Promise.withResolvers<void>();
  const silent: Call["answer"] = () => new Response(new ReadableStream({ cancel: () => closed.resolve() }));
  const trickle: Call["answer"] = () => {
    // Bookmarks, and at last parts of a line, for longer than the limit.
    const line = event("MODIFIED", a2);
    const pieces = [bookmark("6"), bookmark("7"), bookmark("8"), line.slice(0, 9), line.slice(9, 20), line.slice(20)];
    return new Response(
      new ReadableStream({
        async pull(controller) {
          const piece = pieces.shift();
          if (piece === undefined) return await new Promise(() => {});
          await sleep(40);
          controller.enqueue(new TextEncoder().encode(piece));
        },
      }),
    );
  };
  await using server = new ScriptedServer([
    listCall(() => list("5", [a1])),
    watchCall("5", silent),
    // The server's clock may have been turned back: the same version is another object.
    listCall(() => list("3", [object("a", "1", { k: "restored" })])),
    watchCall("3", trickle),
  ]);
  await using run = start(server, { stallMs: 150, sleep, now: () => performance.now() });
  await run.seen(3);
  await closed.promise;
  assert.deepEqual(run.changes, [
    "added tenant/a one",
    "updated tenant/a one->restored",
    "updated tenant/a restored->two",
  ]);
  assert.deepEqual(run.restarts, ["stalled"]);
});

Deno.test("Informer.run() backs off from a server that is away, and starts over once all is well", async () => {
  const busy = () => status(500, "InternalError", "oops");
  await using server = new ScriptedServer([
    listCall(busy),
    listCall(busy),
    listCall(busy),
    listCall(() => list("5", [a1])),
    watchCall("5", () => stream([event("MODIFIED", a2)], "cut")),
    watchCall("6", hang()),
  ]);
  await using run = start(server, { random: () => 0.9999 });
  await run.seen(2);
  assert.deepEqual(run.waits, [500, 1000, 2000, 500]);
});

Deno.test("Informer.run() takes a refused connection for a reason to wait", async () => {
  await using server = new ScriptedServer([]);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  using client = server.client({ credentials: { server: `http://127.0.0.1:${port}` } });
  await using run = start(server, { client });
  while (run.restarts.length < 3) await sleep(1);
  assert.deepEqual(run.restarts.slice(0, 3), ["interrupted", "interrupted", "interrupted"]);
  assert.equal(run.informer.hasSynced, false);
});

Deno.test("Informer.run() ends when its signal fires, in every state", async (t) => {
  const released: (() => void)[] = []; // the server waits for its handlers
  const silence: Call["answer"] = () => new Promise((resolve) => released.push(() => resolve(new Response())));
  const states: [string, Call[]][] = [
    ["waiting for the list", [listCall(silence)]],
    ["reading the list", [listCall(hang('{"metadata":{'))]],
    ["waiting for the watch", [listCall(() => list("5", [])), watchCall("5", silence)]],
    ["watching", [listCall(() => list("5", [])), watchCall("5", hang())]],
  ];
  for (const [name, calls] of states) {
    await t.step(name, async () => {
      await using server = new ScriptedServer(calls);
      await using run = start(server);
      await server.finished();
      await sleep(10);
      run.controller.abort();
      await run.running;
      for (const release of released.splice(0)) release();
      assert.deepEqual([run.restarts, run.logs], [[], []]);
    });
  }
  await t.step("backing off", async () => {
    await using server = new ScriptedServer([listCall(expired)]);
    await using run = start(server, { random: () => 0.9999, sleep: (_, signal) => sleep(60_000, signal) });
    await server.finished();
    await sleep(10);
    run.controller.abort();
    await run.running;
  });
  await t.step("before it begins", async () => {
    await using server = new ScriptedServer([]);
    using client = server.client();
    const informer = new Informer({
      client,
      resource: resources.Pod,
      project: () => 1,
      log: { debug() {}, warn() {}, error() {} },
    });
    await informer.run(AbortSignal.abort());
  });
});

Deno.test("an exception in a handler or projection is logged and stops nothing", async () => {
  const bad = object("bad", "6", { k: "bad" });
  await using server = new ScriptedServer([
    listCall(() => list("5", [object("bad", "3", { k: "good" }), a1])),
    watchCall("5", hang(event("MODIFIED", bad), event("ADDED", b))),
  ]);
  const project = (object: ConfigMap): string => {
    if (object.data?.k === "bad") throw new Error("cannot understand");
    return object.data?.k ?? "-";
  };
  using client = server.client();
  const changes: string[] = [], logs: string[] = [];
  const log = (message: string): void => void logs.push(message);
  const informer = new Informer<Value, ConfigMap>({
    client,
    resource: resources.ConfigMap,
    project,
    log: { debug: () => {}, warn: log, error: log },
  });
  informer.subscribe(() => {
    throw new Error("handler");
  });
  const unsubscribe = informer.subscribe(({ type, key }) => void changes.push(`${type} ${key}`));
  const controller = new AbortController();
  const running = informer.run(controller.signal);
  await server.finished();
  while (changes.length < 4) await sleep(1);
  // What cannot be understood counts as absent.
  assert.deepEqual(changes, ["added tenant/bad", "added tenant/a", "deleted tenant/bad", "added tenant/b"]);
  assert.equal(logs.filter((line) => line === "Handler failed").length, 4);
  assert.equal(logs.filter((line) => line === "Cannot project object").length, 1);
  unsubscribe();
  controller.abort();
  await running;
});

Deno.test("a projection may leave objects out, for a time too", async () => {
  await using server = new ScriptedServer([
    listCall(() => list("5", [object("a", "1", { k: "" }), object("b", "2", { k: "x" })])),
    watchCall(
      "5",
      hang(
        event("MODIFIED", object("a", "6", { k: "in" })),
        event("MODIFIED", object("a", "7", { k: "" })),
        event("MODIFIED", object("a", "8", { k: "" })),
        event("DELETED", object("a", "9", { k: "" })),
        event("DELETED", object("b", "10", { k: "x" })),
      ),
    ),
  ]);
  await using run = start(server, { project: (object) => object.data?.k || undefined });
  await run.seen(4);
  assert.deepEqual(run.changes, ["added tenant/b x", "added tenant/a in", "deleted tenant/a in", "deleted tenant/b x"]);
});

Deno.test("Informer keys objects as it is told", async () => {
  await using server = new ScriptedServer([listCall(() => list("5", [a1])), watchCall("5", hang())]);
  await using run = start(server, { keyOf: (object) => object.metadata!.namespace! });
  await run.seen(1);
  assert.equal(run.informer.get("tenant"), "one");
});

Deno.test("a flood holds the server back, not the reader's memory", async () => {
  const line = new TextEncoder().encode(event("MODIFIED", object("a", "6", { k: "x".repeat(200_000) })));
  let sent = 0;
  const flood: Call["answer"] = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          sent += line.length;
          controller.enqueue(line);
        },
      }),
    );
  await using server = new ScriptedServer([watchCall("5", flood)]);
  using client = server.client();
  let events = 0;
  for await (const _ of client.watch(resources.ConfigMap, { resourceVersion: "5" })) {
    if (++events === 20) break;
    await sleep(10); // a slow reader
  }
  assert.ok(sent < 30_000_000, `${sent} bytes sent for ${events} events of ${line.length}`);
});
