import assert from "node:assert/strict";
import { createLog } from "../../lib/ops/log.ts";
import { sparingLog } from "../../lib/ops/sparing_log.ts";

function capture() {
  const entries: Record<string, unknown>[] = [];
  let time = 1_000;
  const log = sparingLog(createLog({ level: "info", write: (line) => void entries.push(JSON.parse(line)) }), {
    now: () => time,
    burst: 3,
    everyMs: 1_000,
  });
  return { log, entries, pass: (ms: number) => time += ms };
}

Deno.test("sparingLog() writes a burst, then a line now and then with the number of those left out", () => {
  const { log, entries, pass } = capture();
  for (let i = 0; i < 100; i++) log.warn("Refused request", { i });
  assert.deepEqual(entries.map(({ i, leftOut }) => [i, leftOut]), [[0, undefined], [1, undefined], [2, undefined]]);
  pass(999);
  log.warn("Refused request", { i: 100 });
  assert.equal(entries.length, 3);
  pass(1);
  log.warn("Refused request", { i: 101 });
  log.warn("Refused request", { i: 102 });
  assert.deepEqual(entries.slice(3).map(({ i, leftOut }) => [i, leftOut]), [[101, 98]]);
  pass(1_000);
  log.warn("Refused request", { i: 103 });
  assert.deepEqual(entries.slice(4).map(({ i, leftOut }) => [i, leftOut]), [[103, 1]]);
});

Deno.test("sparingLog() writes at most a burst after a long silence", () => {
  const { log, entries, pass } = capture();
  pass(3_600_000);
  for (let i = 0; i < 10; i++) log.info("a");
  assert.equal(entries.length, 3);
  pass(3_600_000);
  for (let i = 0; i < 10; i++) log.info("a");
  assert.equal(entries.length, 6);
});

Deno.test("sparingLog() counts each message by itself, whatever its fields and level", () => {
  const { log, entries } = capture();
  for (let i = 0; i < 10; i++) log.with({ i }).warn("a");
  log.error("b", { x: 1 });
  assert.deepEqual(entries.map(({ level, message }) => `${level} ${message}`), [
    "warn a",
    "warn a",
    "warn a",
    "error b",
  ]);
});
