import assert from "node:assert/strict";
import { chunks, text } from "../../lib/kube/body.ts";

Deno.test("chunks() hears its signal even where the body does not", async () => {
  let cancelled: unknown;
  const silent = new ReadableStream({
    type: "bytes",
    start: (controller) => controller.enqueue(new Uint8Array(1)),
    cancel: (reason) => void (cancelled = reason),
  });
  const controller = new AbortController();
  let count = 0;
  const reading = (async () => {
    for await (const _ of chunks(silent, controller.signal)) count++;
  })();
  await new Promise((resolve) => setTimeout(resolve, 5));
  controller.abort("enough");
  await assert.rejects(reading, (reason) => reason === "enough");
  assert.deepEqual([count, cancelled], [1, "enough"]);
});

Deno.test("chunks() lets the event loop turn while a body arrives as fast as it is read", async () => {
  let turns = 0;
  const turning = setInterval(() => turns++, 0);
  const endless = new ReadableStream({
    type: "bytes",
    pull: (controller) => controller.enqueue(new Uint8Array(1000)),
  });
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
      type: "bytes",
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

Deno.test("chunks() brings every byte in order, however long the body, with the memory of one chunk", async () => {
  const bytes = Uint8Array.from({ length: 500_000 }, (_, i) => i % 251);
  const whole = new Uint8Array(bytes.length);
  const memories = new Set<number>();
  let at = 0;
  const body = new ReadableStream({
    type: "bytes",
    start(controller) {
      controller.enqueue(bytes.slice());
      controller.close();
    },
  });
  for await (const chunk of chunks(body, new AbortController().signal)) {
    whole.set(chunk, at);
    at += chunk.length;
    memories.add(chunk.buffer.byteLength);
  }
  assert.equal(at, bytes.length);
  assert.deepEqual(whole, bytes);
  assert.ok(Math.max(...memories) <= 65_536, `${[...memories]}`);
});

Deno.test("text() joins characters that are split", async () => {
  const bytes = new TextEncoder().encode("Zürich 🏥");
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const byte of bytes) yield new Uint8Array([byte]);
  }
  assert.equal(await text(body()), "Zürich 🏥");
});
