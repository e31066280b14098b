import assert from "node:assert/strict";
import { sleep } from "../../lib/kube/time.ts";
import { type Call, event, list, object, ScriptedServer, status, stream } from "./scripted_server.ts";
import { a1, a2, b, bookmark, expired, hang, listCall, start, watchCall } from "./started_informer.ts";

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
