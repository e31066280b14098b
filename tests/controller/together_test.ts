import assert from "node:assert/strict";
import { together } from "../../lib/controller/together.ts";
import { settled } from "./fake_clock.ts";

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

Deno.test("together() runs all tasks until the abort, and waits for all", async () => {
  const stop = new AbortController();
  let release = () => {};
  const slow = new Promise<void>((resolve) => release = resolve);
  let ended = false;
  const running = together([untilAborted, (signal) => untilAborted(signal).then(() => slow)], stop.signal)
    .then(() => ended = true);
  await settled();
  assert.equal(ended, false);
  stop.abort();
  await settled();
  assert.equal(ended, false, "one still runs");
  release();
  await running;
});

Deno.test("together() ends all when one ends or throws, and throws only then", async (t) => {
  const table: [string, (signal: AbortSignal) => Promise<void>, RegExp | undefined][] = [
    ["ends", () => Promise.resolve(), undefined],
    ["rejects", () => Promise.reject(new Error("no")), /no/],
    ["throws at once", () => {
      throw new Error("no");
    }, /no/],
  ];
  for (const [name, task, error] of table) {
    await t.step(name, async () => {
      let other = "runs";
      const running = together(
        [async (signal) => {
          await untilAborted(signal);
          await settled();
          other = "ended";
        }, task],
        new AbortController().signal,
      );
      if (error === undefined) await running;
      else await assert.rejects(running, error);
      assert.equal(other, "ended");
    });
  }
});
