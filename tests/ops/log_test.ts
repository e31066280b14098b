import assert from "node:assert/strict";
import { createLog, type LogOptions } from "../../lib/ops/log.ts";

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    now: () => new Date("2026-01-02T03:04:05.006Z"),
    write: (line) => void lines.push(line),
    ...options,
  });
  return { log, lines, entries: () => lines.map((line) => JSON.parse(line)) };
}

Deno.test("createLog() writes one JSON line with time, level, message and fields, in that order", () => {
  const { log, lines } = capture();
  log.info("Applied object", { kind: "ConfigMap", text: "two\nlines" });
  assert.deepEqual(lines, [
    '{"time":"2026-01-02T03:04:05.006Z","level":"info","message":"Applied object","kind":"ConfigMap","text":"two\\nlines"}\n',
  ]);
});

Deno.test("createLog() drops what is below its level", () => {
  const { log, entries } = capture({ level: "warn" });
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  assert.deepEqual(entries().map((e) => [e.level, e.message]), [["warn", "c"], ["error", "d"]]);
});

Deno.test("createLog() adds the fields of with() to every line, and nested ones on top", () => {
  const { log, entries } = capture();
  log.with({ component: "informer", kind: "Pod" }).with({ kind: "Namespace" }).info("Listed", { count: 3 });
  const { component, kind, count } = entries()[0];
  assert.deepEqual({ component, kind, count }, { component: "informer", kind: "Namespace", count: 3 });
});

Deno.test("createLog() lets no field replace time, level or message", () => {
  const { log, entries } = capture();
  log.info("Refused pod", { message: "forged", level: "debug", time: 0 });
  const { message, level, time } = entries()[0];
  assert.deepEqual({ message, level, time }, {
    message: "Refused pod",
    level: "info",
    time: "2026-01-02T03:04:05.006Z",
  });
});

Deno.test("createLog() writes an error's name, message, codes and causes", () => {
  const { log, entries } = capture();
  const error = new TypeError("Cannot get Pod", { cause: new Error("refused", { cause: "os error 111" }) });
  log.error("Failed", { error: Object.assign(error, { status: 0, reason: "Network", secret: "not this" }) });
  assert.deepEqual(entries()[0].error, {
    name: "TypeError",
    message: "Cannot get Pod",
    status: 0,
    reason: "Network",
    cause: { name: "Error", message: "refused", cause: "os error 111" },
  });
});

Deno.test("createLog() writes stacks at level debug only", () => {
  const quiet = capture(), chatty = capture({ level: "debug" });
  quiet.log.error("Failed", { error: new Error("x") });
  chatty.log.error("Failed", { error: new Error("x") });
  assert.equal(quiet.entries()[0].error.stack, undefined);
  assert.match(chatty.entries()[0].error.stack, /log_test/);
});

Deno.test("createLog() survives what JSON cannot hold", async (t) => {
  const ring: Record<string, unknown> = {};
  ring.self = ring;
  const ringOfCauses = new Error("a");
  ringOfCauses.cause = ringOfCauses;
  const values: Record<string, unknown> = {
    "a ring": ring,
    "a ring of causes": ringOfCauses,
    "a bigint": 12n,
    "undefined": undefined,
    "a throwing toJSON": {
      toJSON() {
        throw new Error("no");
      },
    },
    "an aggregate": new AggregateError([new Error("one"), "two"], "both"),
  };
  for (const [name, value] of Object.entries(values)) {
    await t.step(name, () => {
      const { log, entries } = capture();
      log.info("Said", { value });
      assert.equal(entries()[0].message, "Said");
    });
  }
});

Deno.test("createLog() lets no field speak to the terminal that shows the log, and loses nothing of it", () => {
  const { log, lines, entries } = capture();
  const text = "a\u001b[2J\u007f\u009b31m\u2028\u202eevil\u2066\u{e0041}é漢";
  log.info("Refused request", { text, [text]: 1 });
  assert.doesNotMatch(lines[0]!.trimEnd(), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  assert.match(lines[0]!, /é漢/);
  assert.deepEqual([entries()[0].text, entries()[0][text]], [text, 1]);
});
