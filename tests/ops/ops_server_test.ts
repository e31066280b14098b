import assert from "node:assert/strict";
import { createLog } from "../../lib/ops/log.ts";
import { type Check, OpsServer, type OpsServerOptions } from "../../lib/ops/ops_server.ts";

function start(checks: Record<string, Check> = {}, options: Partial<OpsServerOptions> = {}) {
  const lines: Record<string, unknown>[] = [];
  const server = new OpsServer({
    hostname: "127.0.0.1",
    port: 0,
    checks,
    metrics: { text: () => Promise.resolve("data_spacer_leader 0\n"), contentType: "text/plain; version=0.0.4" },
    log: createLog({ level: "debug", write: (line) => lines.push(JSON.parse(line)) }),
    ...options,
  });
  return {
    server,
    lines,
    async get(path: string, init: RequestInit = {}) {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init);
      return { status: response.status, headers: response.headers, body: await response.text() };
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const ok: Check = () => Promise.resolve();
const bad = (message: string): Check => () => Promise.reject(new Error(message));

Deno.test("OpsServer answers by its table", async (t) => {
  await using s = start({ caches: ok });
  const table: [method: string, path: string, status: number, body: RegExp][] = [
    ["GET", "/healthz", 200, /^ok\n$/],
    ["HEAD", "/healthz", 200, /^$/],
    ["GET", "/readyz", 200, /^caches: ok\n$/],
    ["GET", "/readyz?verbose", 200, /^caches: ok\n$/],
    ["GET", "/metrics", 200, /^data_spacer_leader 0\n$/],
    ["GET", "/", 404, /healthz/],
    ["GET", "/healthz/..%2fmetrics", 404, /healthz/],
    ["POST", "/metrics", 405, /GET/],
    ["DELETE", "/healthz", 405, /GET/],
  ];
  for (const [method, path, status, body] of table) {
    await t.step(`${method} ${path}`, async () => {
      const response = await s.get(path, { method });
      assert.equal(response.status, status);
      assert.match(response.body, body);
      assert.equal(response.headers.get("cache-control"), "no-store");
    });
  }
  assert.equal((await s.get("/metrics")).headers.get("content-type"), "text/plain; version=0.0.4");
});

Deno.test("OpsServer is not ready while a check fails, says which and why, and logs the change only", async () => {
  let state: Check = bad("namespaces: no list yet");
  await using s = start({ caches: (signal) => state(signal), tls: ok });
  for (let i = 0; i < 3; i++) {
    const { status, body } = await s.get("/readyz");
    assert.deepEqual([status, body], [503, "caches: namespaces: no list yet\ntls: ok\n"]);
  }
  assert.equal((await s.get("/healthz")).status, 200);
  state = ok;
  assert.equal((await s.get("/readyz")).status, 200);
  assert.equal((await s.get("/readyz")).status, 200);
  assert.deepEqual(s.lines.map((line) => [line.level, line.message]), [["warn", "Not ready"], ["info", "Ready again"]]);
});

Deno.test("OpsServer takes a check that throws at once for one that fails", async () => {
  await using s = start({
    broken: () => {
      throw new TypeError("broken");
    },
  });
  const { status, body } = await s.get("/readyz");
  assert.deepEqual([status, body], [503, "broken: broken\n"]);
});

Deno.test("OpsServer gives a check its time, then aborts it and is not ready", async () => {
  let aborted = false;
  const stuck: Check = (signal) => {
    signal.addEventListener("abort", () => aborted = true);
    return new Promise(() => {});
  };
  await using s = start({ stuck, other: ok }, { limitMs: 50 });
  const { status, body } = await s.get("/readyz");
  assert.deepEqual([status, body], [503, "stuck: no answer within 50 ms\nother: ok\n"]);
  assert.ok(aborted);
});

Deno.test("OpsServer runs the checks once for all that ask at the same time, and anew for the next", async () => {
  let runs = 0;
  let release = () => {};
  await using s = start({
    slow: () => {
      runs++;
      return new Promise((resolve) => release = resolve);
    },
  });
  const asked = Array.from({ length: 20 }, () => s.get("/readyz"));
  await s.get("/healthz"); // all of them have arrived by then, or share the next run
  while (runs === 0) await s.get("/healthz");
  const next = setInterval(() => release(), 5);
  const answers = await Promise.all(asked);
  assert.ok(answers.every(({ status, body }) => status === 200 && body === "slow: ok\n"));
  assert.ok(runs <= 3, `${runs} runs`);
  const before = runs;
  await s.get("/readyz");
  assert.equal(runs, before + 1);
  clearInterval(next);
});

Deno.test("OpsServer answers 500 when metrics fail or hang, and goes on", async () => {
  let text = (): Promise<string> => Promise.reject(new Error("no"));
  await using s = start({}, { metrics: { text: () => text(), contentType: "text/plain" }, limitMs: 50 });
  assert.equal((await s.get("/metrics")).status, 500);
  text = () => new Promise(() => {});
  assert.equal((await s.get("/metrics")).status, 500);
  text = () => Promise.resolve("fine");
  assert.equal((await s.get("/metrics")).body, "fine");
  assert.equal(s.lines.filter((line) => line.level === "error").length, 2);
});

Deno.test("OpsServer.shutdown() lets a request under way finish, and takes no more", async () => {
  let release = () => {};
  const started = Promise.withResolvers<void>();
  const s = start({
    slow: () => {
      started.resolve();
      return new Promise((resolve) => release = resolve);
    },
  });
  const answer = s.get("/readyz");
  await started.promise;
  const down = s.server.shutdown();
  release();
  assert.equal((await answer).status, 200);
  await down;
  await assert.rejects(s.get("/healthz"));
});

Deno.test("OpsServer.shutdown() does not wait for clients that never finish their request", async () => {
  const s = start();
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: s.server.port });
  await connection.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "));
  await s.get("/healthz"); // the other connection is accepted by now
  const begin = performance.now();
  await s.server.shutdown();
  assert.ok(performance.now() - begin < 2_000);
  assert.equal(await connection.read(new Uint8Array(10)).catch(() => null), null);
  connection.close();
});

Deno.test("OpsServer.shutdown() takes no longer than the limit of a check", async () => {
  const started = Promise.withResolvers<void>();
  const s = start({
    stuck: () => {
      started.resolve();
      return new Promise(() => {});
    },
  }, { limitMs: 50 });
  const answer = s.get("/readyz");
  await started.promise;
  await s.server.shutdown();
  assert.equal((await answer).status, 503);
});

Deno.test("OpsServer.shutdown() leaves behind a client that does not read its answer", async () => {
  const s = start({}, {
    metrics: { text: () => Promise.resolve("x".repeat(16 << 20)), contentType: "text/plain" },
    limitMs: 100,
  });
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: s.server.port });
  await connection.write(new TextEncoder().encode("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
  await connection.read(new Uint8Array(10)); // the answer has begun
  await s.server.shutdown();
  connection.close();
  await s.server.shutdown(); // now it can end
});

Deno.test("OpsServer says that its port is taken", async () => {
  await using s = start();
  assert.throws(() => start({}, { port: s.server.port }), Deno.errors.AddrInUse);
});
