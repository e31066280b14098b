import assert from "node:assert/strict";
import { chunks, text } from "../../lib/kube/body.ts";

/** Resolves once the garbage collector has run. */
async function garbageCollected(): Promise<void> {
  const ref = new WeakRef({});
  while (ref.deref() !== undefined) {
    Array.from({ length: 50_000 }, (_, i) => ({ i })); // garbage
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

Deno.test("chunks() hears its signal also after a garbage collection", async () => {
  const disconnected = Promise.withResolvers<void>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array([1])),
      cancel: () => disconnected.resolve(),
    });
    return new Response(body);
  });
  const controller = new AbortController();
  const response = await fetch(`http://127.0.0.1:${server.addr.port}`, { signal: controller.signal });
  const seen: number[] = [];
  const reading = (async () => {
    for await (const chunk of chunks(response.body!, controller.signal)) seen.push(chunk.length);
  })();
  await garbageCollected();
  await garbageCollected();
  controller.abort(new Error("enough"));
  await assert.rejects(reading, /enough/);
  await disconnected.promise; // the connection is closed, not only forgotten
  assert.deepEqual(seen, [1]);
});

Deno.test("chunks() lets the event loop turn while a body arrives as fast as it is read", async () => {
  let turns = 0;
  const turning = setInterval(() => turns++, 0);
  const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(1000)) });
  const started = performance.now();
  for await (const _ of chunks(endless, new AbortController().signal)) {
    if (turns >= 5 || performance.now() - started > 2_000) break;
  }
  clearInterval(turning);
  assert.ok(turns >= 5, `${turns} turns`);
});

Deno.test("chunks() cancels a body that is not read to its end, and not before", async () => {
  const cancelled: string[] = [];
  const body = (name: string): ReadableStream<Uint8Array> =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(1));
        if (name === "whole") controller.close();
      },
      cancel: () => void cancelled.push(name),
    });
  const { signal } = new AbortController();
  for await (const _ of chunks(body("whole"), signal));
  for await (const _ of chunks(body("left"), signal)) break;
  assert.deepEqual(cancelled, ["left"]);
});

Deno.test("text() joins characters that are split", async () => {
  const bytes = new TextEncoder().encode("Zürich 🏥");
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const byte of bytes) yield new Uint8Array([byte]);
  }
  assert.equal(await text(body()), "Zürich 🏥");
});
