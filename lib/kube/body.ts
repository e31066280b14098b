import { setImmediate } from "node:timers";

/** Longest time that reading may hold the event loop before others get their turn, in milliseconds. */
const TURN_MS = 1;

/** Bytes that one read takes: as few as most answers have, and more once that does not suffice. */
const READ = { first: 4_096, most: 65_536 };

/**
 * The chunks of an answer's body until its end; each is good until the next is asked for, since all share their memory.
 * (A reader that brings none gets 64 KiB anew for each read, which outside of the heap waits long for the collector: half
 * of the program's memory, and a third of the time of a small call.) Leaving the loop early closes the connection.
 *
 * The signal that `fetch` was given is not enough: Deno 2.9.6 ties it to the body by a weak reference, so that after
 * a garbage collection an abort may go unheard and the reader waits for ever (seen after 100 MB of events). And a body
 * that arrives as fast as it is read never lets the event loop turn, so admission would wait for the end of a list.
 * @throws the signal's reason when it fires.
 */
export async function* chunks(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = body.getReader({ mode: "byob" });
  const stop = (): void => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  try {
    let turnBegan = performance.now();
    let memory = new ArrayBuffer(READ.first);
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read(new Uint8Array(memory));
      signal.throwIfAborted();
      if (done) return;
      yield value;
      const wasFull = value.length === value.buffer.byteLength;
      memory = wasFull && value.length < READ.most ? new ArrayBuffer(2 * value.length) : value.buffer;
      if (performance.now() - turnBegan >= TURN_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        turnBegan = performance.now();
      }
    }
  } finally {
    signal.removeEventListener("abort", stop);
    await reader.cancel().catch(() => {});
  }
}

/** A whole body as text. */
export async function text(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}
