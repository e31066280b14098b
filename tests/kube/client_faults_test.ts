import assert from "node:assert/strict";
import { resources } from "../../lib/kube/resources.ts";
import { failureOf } from "../support/failure_of.ts";
import { type Call, ScriptedServer, status, stream } from "./scripted_server.ts";

const { ConfigMap, Pod } = resources;
const CONFIG_MAP = "/api/v1/namespaces/tenant/configmaps/a";
const desired = {
  apiVersion: "v1" as const,
  kind: "ConfigMap" as const,
  metadata: { namespace: "tenant", name: "a" },
  data: { k: "v" },
};

Deno.test("KubeClient waits as 429 and 503 ask, a bounded number of times", async (t) => {
  const busy = (code: number, seconds?: string): Call => ({
    path: "/version",
    answer: () => status(code, "TooManyRequests", "busy", seconds === undefined ? {} : { "retry-after": seconds }),
  });
  const good: Call = { path: "/version", answer: () => new Response("fine") };
  const cases: [string, Call[], number[], string][] = [
    ["until it succeeds", [busy(429, "1"), busy(503, "2"), good], [1000, 2000], "fine"],
    ["three times at most", Array(4).fill(busy(429, "1")), [1000, 1000, 1000], "Cannot get /version: busy"],
    ["not when nobody says how long", [busy(429)], [], "Cannot get /version: busy"],
    ["not for longer than the caller would", [busy(503, "60")], [], "Cannot get /version: busy"],
    ["not after another failure", [busy(500, "1")], [], "Cannot get /version: busy"],
  ];
  for (const [name, calls, expectedWaits, outcome] of cases) {
    await t.step(name, async () => {
      await using server = new ScriptedServer(calls);
      const waits: number[] = [];
      using client = server.client({ sleep: (ms) => (waits.push(ms), Promise.resolve()) });
      assert.equal(await client.raw("/version").catch((error) => error.message), outcome);
      assert.deepEqual(waits, expectedWaits);
    });
  }
  await t.step("not at all where the caller says so", async () => {
    await using server = new ScriptedServer([busy(429, "1")]);
    using client = server.client();
    assert.equal((await failureOf(client.raw("/version", { retries: 0 }))).retryAfterMs, 1000);
  });
  await t.step("an eviction is the caller's to repeat", async () => {
    await using server = new ScriptedServer([{
      ...busy(429, "1"),
      method: "POST",
      path: "/api/v1/namespaces/tenant/pods/a/eviction",
    }]);
    using client = server.client();
    const { metadata } = desired;
    assert.equal(
      (await failureOf(client.createSubresource(Pod, { metadata }, { subresource: "eviction" }))).status,
      429,
    );
  });
  await t.step("with jitter, never before the time", async () => {
    await using server = new ScriptedServer([busy(429, "2"), good]);
    const waits: number[] = [];
    using client = server.client({ random: () => 0.9, sleep: (ms) => (waits.push(ms), Promise.resolve()) });
    await client.raw("/version");
    assert.deepEqual(waits, [2540]);
  });
});

Deno.test("KubeClient turns every failure to answer into a KubeError", async (t) => {
  const cases: [string, () => Response | Promise<Response>, number, string, RegExp][] = [
    ["an answer that is not JSON", () => new Response("<html>"), 0, "Malformed", /^Cannot get ConfigMap "tenant\/a": /],
    ["a page of a proxy", () => new Response("Bad gateway\n", { status: 502 }), 502, "", /^Cannot .*: Bad gateway$/],
    ["an empty failure", () => new Response(null, { status: 500 }), 500, "", /HTTP status 500$/],
    ["a redirect", () => new Response(null, { status: 302, headers: { location: "/" } }), 302, "", /HTTP status 302$/],
    ["a body that breaks off", () => stream(['{"a":'], "cut"), 0, "Network", /^Cannot get ConfigMap/],
    ["no answer in time", () => stream(['{"a":'], "hang"), 0, "Timeout", /: No answer within 60 ms$/],
  ];
  for (const [name, answer, code, reason, message] of cases) {
    await t.step(name, async () => {
      await using server = new ScriptedServer([{ path: CONFIG_MAP, answer }]);
      using client = server.client({ timeoutMs: reason === "Timeout" ? 60 : 5_000 });
      const error = await failureOf(client.get(ConfigMap, { namespace: "tenant", name: "a" }));
      assert.deepEqual([error.status, error.reason], [code, reason]);
      assert.match(error.message, message);
    });
  }
  await t.step("no server", async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    await using server = new ScriptedServer([]);
    using client = server.client({ credentials: { server: `http://127.0.0.1:${port}` } });
    const error = await failureOf(client.raw("/version"));
    assert.deepEqual([error.status, error.reason], [0, "Network"]);
    assert.match(error.message, /^Cannot get \/version: .*refused/);
  });
});

Deno.test("KubeClient throws the caller's reason when its signal fires, in every state", async (t) => {
  const released = Promise.withResolvers<Response>();
  const silent: Call["answer"] = () => released.promise;
  const hang: Call["answer"] = () => stream([], "hang");
  const busy: Call["answer"] = () => status(429, "TooManyRequests", "busy", { "retry-after": "9" });
  type Client = ReturnType<ScriptedServer["client"]>;
  const cases: [string, Call["answer"], (client: Client, signal: AbortSignal) => Promise<unknown>][] = [
    ["waiting for the answer", silent, (client, signal) => client.raw("/version", { signal })],
    ["reading the answer", hang, (client, signal) => client.raw("/version", { signal })],
    ["waiting to ask again", busy, (client, signal) => client.raw("/version", { signal })],
  ];
  for (const [name, answer, run] of cases) {
    await t.step(name, async () => {
      await using server = new ScriptedServer([{ path: "/version", answer }]);
      using client = server.client();
      const controller = new AbortController();
      const running = run(client, controller.signal);
      await server.finished();
      setTimeout(() => controller.abort("enough"), 20);
      await assert.rejects(running, (reason) => reason === "enough");
      released.resolve(new Response()); // the server waits for its handlers
    });
  }
  await t.step("before it begins", async () => {
    await using server = new ScriptedServer([]);
    using client = server.client();
    await assert.rejects(
      client.raw("/version", { signal: AbortSignal.abort("enough") }),
      (reason) => reason === "enough",
    );
  });
});
