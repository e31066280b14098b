import assert from "node:assert/strict";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { Informer } from "../../lib/kube/informer.ts";
import { resources } from "../../lib/kube/resources.ts";
import { sleep } from "../../lib/kube/time.ts";
import { type Call, event, list, object, ScriptedServer } from "./scripted_server.ts";
import { a1, a2, b, expired, hang, listCall, start, type Value, watchCall } from "./started_informer.ts";

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
