import assert from "node:assert/strict";
import { isExpired, KubeError } from "../../lib/kube/errors.ts";
import { resources } from "../../lib/kube/resources.ts";
import { type Call, event, list, object, ScriptedServer, status, stream } from "./scripted_server.ts";

const { ConfigMap, Namespace, Pod, SubjectAccessReview } = resources;
const CONFIG_MAP = "/api/v1/namespaces/tenant/configmaps/a";
const desired = {
  apiVersion: "v1" as const,
  kind: "ConfigMap" as const,
  metadata: { namespace: "tenant", name: "a" },
  data: { k: "v" },
};

/** What `promise` rejects with. */
async function failureOf(promise: Promise<unknown>): Promise<KubeError> {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof KubeError, `a KubeError, not ${error}`);
  return error;
}

Deno.test("KubeClient.get() reads an object, and names it when it is not there", async () => {
  await using server = new ScriptedServer([
    { path: CONFIG_MAP, answer: () => Response.json(object("a", "7")) },
    { path: "/api/v1/namespaces/tenant", answer: () => status(404, "NotFound", 'namespaces "tenant" not found') },
  ]);
  using client = server.client();
  assert.equal((await client.get(ConfigMap, { namespace: "tenant", name: "a" })).metadata?.resourceVersion, "7");
  const error = await failureOf(client.get(Namespace, { name: "tenant" }));
  assert.equal(error.message, 'Cannot get Namespace "tenant": namespaces "tenant" not found');
  assert.deepEqual([error.status, error.reason], [404, "NotFound"]);
});

Deno.test("KubeClient.apply() applies JSON by force as our field manager, and tells whether it created", async () => {
  const call = (code: number): Call => ({
    method: "PATCH",
    path: CONFIG_MAP,
    query: { force: "true", fieldManager: "tester", dryRun: null },
    headers: { "content-type": "application/apply-patch+yaml", accept: "application/json" },
    body: desired,
    answer: () => Response.json(object("a", "1"), { status: code }),
  });
  await using server = new ScriptedServer([call(201), call(200)]);
  using client = server.client();
  assert.equal((await client.apply(ConfigMap, desired)).created, true);
  assert.deepEqual(await client.apply(ConfigMap, desired), { created: false, object: object("a", "1") });
});

Deno.test("KubeClient writes with what its options ask for", async (t) => {
  const { namespace, name } = desired.metadata;
  const answer = (): Response => Response.json(object("a", "2"));
  const calls: [string, Call, (client: ReturnType<ScriptedServer["client"]>) => Promise<unknown>][] = [
    [
      "apply: dry run, metadata only, body given as text",
      {
        method: "PATCH",
        path: CONFIG_MAP,
        query: { dryRun: "All" },
        headers: { accept: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1" },
        body: { text: "as it is" },
        answer,
      },
      (c) =>
        c.apply(ConfigMap, { metadata: desired.metadata }, {
          dryRun: true,
          metadataOnly: true,
          contentBody: '{"text":"as it is"}',
        }),
    ],
    [
      "create",
      { method: "POST", path: "/api/v1/namespaces/tenant/configmaps", body: desired, answer },
      (c) => c.create(ConfigMap, desired),
    ],
    [
      "create without a name",
      { method: "POST", path: "/apis/authorization.k8s.io/v1/subjectaccessreviews", body: { spec: {} }, answer },
      (c) => c.create(SubjectAccessReview, { spec: {} }),
    ],
    [
      "replace",
      { method: "PUT", path: CONFIG_MAP, body: desired, headers: { "content-type": "application/json" }, answer },
      (c) => c.replace(ConfigMap, desired),
    ],
    [
      "delete with preconditions",
      {
        method: "DELETE",
        path: CONFIG_MAP,
        body: {
          apiVersion: "v1",
          kind: "DeleteOptions",
          preconditions: { uid: "u", resourceVersion: "3" },
          gracePeriodSeconds: 0,
        },
        answer,
      },
      (c) => c.delete(ConfigMap, { namespace, name, uid: "u", resourceVersion: "3", gracePeriodSeconds: 0 }),
    ],
    [
      "delete as a dry run",
      {
        method: "DELETE",
        path: CONFIG_MAP,
        body: { apiVersion: "v1", kind: "DeleteOptions", dryRun: ["All"] },
        answer,
      },
      (c) => c.delete(ConfigMap, { namespace, name, dryRun: true }),
    ],
    [
      "JSON patch",
      {
        method: "PATCH",
        path: CONFIG_MAP,
        headers: { "content-type": "application/json-patch+json" },
        body: [{ op: "remove", path: "/data/k" }],
        answer,
      },
      (c) => c.jsonPatch(ConfigMap, [{ op: "remove", path: "/data/k" }], { namespace, name }),
    ],
    [
      "merge patch of a subresource",
      {
        method: "PATCH",
        path: `${CONFIG_MAP}/status`,
        headers: { "content-type": "application/merge-patch+json" },
        body: { data: null },
        answer,
      },
      (c) => c.mergePatch(ConfigMap, { data: null }, { namespace, name, subresource: "status" }),
    ],
    [
      "eviction",
      {
        method: "POST",
        path: "/api/v1/namespaces/tenant/pods/a/eviction",
        body: { metadata: desired.metadata },
        answer,
      },
      (c) => c.createSubresource(Pod, { metadata: desired.metadata }, { subresource: "eviction" }),
    ],
    ["raw", { path: "/version", answer }, (c) => c.raw("/version")],
  ];
  for (const [name, call, run] of calls) {
    await t.step(name, async () => {
      await using server = new ScriptedServer([call]);
      using client = server.client();
      await run(client);
    });
  }
});

Deno.test("KubeClient never sends a write for one object to a collection", async (t) => {
  await using server = new ScriptedServer([]);
  using client = server.client();
  const nameless = { metadata: { namespace: "tenant" } };
  const calls: Record<string, () => Promise<unknown>> = {
    delete: () => client.delete(Pod, { namespace: "tenant", name: "" }),
    "delete, name undefined": () => client.delete(Pod, { namespace: "tenant" } as { namespace: string; name: string }),
    apply: () => client.apply(ConfigMap, nameless),
    replace: () => client.replace(ConfigMap, nameless),
  };
  for (const [name, run] of Object.entries(calls)) {
    await t.step(name, () => assert.rejects((async () => await run())(), TypeError));
  }
});

Deno.test("KubeClient sends identity: token, agent, impersonation", async () => {
  const headers: Headers[] = [];
  const answer = (request: Request): Response => (headers.push(request.headers), Response.json({}));
  await using server = new ScriptedServer([{ path: "/version", answer }]);
  using client = server.client({
    credentials: { server: server.url, token: () => "secret" },
    userAgent: "tester/1",
    impersonate: { user: "jane", groups: ["a", "b"], uid: "7" },
  });
  await client.raw("/version");
  const sent = headers[0]!;
  assert.equal(sent.get("authorization"), "Bearer secret");
  assert.equal(sent.get("user-agent"), "tester/1");
  assert.equal(sent.get("accept-encoding"), "identity");
  assert.equal(sent.get("impersonate-user"), "jane");
  assert.equal(sent.get("impersonate-group"), "a, b"); // joined by the test's own server: they arrive as two lines
  assert.equal(sent.get("impersonate-uid"), "7");
});

Deno.test("KubeClient keeps the path of the server's URL", async () => {
  await using server = new ScriptedServer([{ path: "/clusters/one/version", answer: () => Response.json({}) }]);
  using client = server.client({ credentials: { server: `${server.url}/clusters/one/` } });
  await client.raw("/version");
});

Deno.test("KubeClient asks again with a fresh token when the old one is refused, and once only", async () => {
  const answer = (request: Request): Response =>
    request.headers.get("authorization") === "Bearer new"
      ? Response.json(object("a", "1"))
      : status(401, "Unauthorized", "Unauthorized");
  const call = { path: CONFIG_MAP, answer };
  await using server = new ScriptedServer([call, call, call]);
  let current = "old";
  const token = (options?: { fresh: boolean }): string => options?.fresh ? current = "new" : current;
  using client = server.client({ credentials: { server: server.url, token } });
  await client.get(ConfigMap, { namespace: "tenant", name: "a" });
  using stubborn = server.client({ credentials: { server: server.url, token: () => "old" } });
  assert.equal((await failureOf(stubborn.get(ConfigMap, { namespace: "tenant", name: "a" }))).status, 401);
});

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

Deno.test("KubeClient.list() reads one page", async () => {
  await using server = new ScriptedServer([{
    path: "/api/v1/namespaces",
    query: { limit: "2", labelSelector: "a=b", fieldSelector: "metadata.name=x", continue: "c", resourceVersion: "0" },
    headers: { accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" },
    answer: () => list("12", [object("a", "1")], "token"),
  }, {
    path: "/api/v1/pods",
    query: { limit: null },
    answer: () => Response.json({ metadata: { resourceVersion: "1" }, items: null }),
  }]);
  using client = server.client();
  const select = { labelSelector: "a=b", fieldSelector: "metadata.name=x", metadataOnly: true };
  const page = await client.list(Namespace, { limit: 2, continue: "c", resourceVersion: "0", ...select });
  assert.deepEqual([page.items.length, page.resourceVersion, page.continue], [1, "12", "token"]);
  assert.deepEqual(await client.list(Pod), { items: [], resourceVersion: "1" });
});

/** The names that a whole list gives, and what it ends with. */
async function listAll(client: ReturnType<ScriptedServer["client"]>) {
  const names: (string | undefined)[] = [];
  let resourceVersion: string | undefined;
  for await (const part of client.listAll(ConfigMap, { limit: 2 })) {
    if (part.restarted) names.splice(0);
    names.push(...part.items.map((item) => item.metadata?.name));
    resourceVersion = part.resourceVersion;
  }
  return { names, resourceVersion };
}

/** One page of a list of ConfigMaps: the token that asks for it, and its answer. */
function page(token: string | null, answer: Call["answer"]): Call {
  return { path: "/api/v1/configmaps", query: { limit: "2", continue: token }, answer };
}

Deno.test("KubeClient.listAll() follows the pages", async () => {
  await using server = new ScriptedServer([
    page(null, () => list("12", [object("a", "1"), object("b", "2")], "next")),
    page("next", () => list("12", [object("c", "3")])),
  ]);
  using client = server.client();
  assert.deepEqual(await listAll(client), { names: ["a", "b", "c"], resourceVersion: "12" });
});

Deno.test("KubeClient.listAll() begins anew when its snapshot expires between pages", async () => {
  await using server = new ScriptedServer([
    page(null, () => list("12", [object("a", "1")], "next")),
    page("next", () => status(410, "Expired", "the snapshot is too old")),
    page(null, () => list("20", [object("b", "13")], "more")),
    page("more", () => list("20", [])),
  ]);
  using client = server.client();
  assert.deepEqual(await listAll(client), { names: ["b"], resourceVersion: "20" });
});

Deno.test("KubeClient.listAll() says that it began anew even if nothing is left", async () => {
  await using server = new ScriptedServer([
    page(null, () => list("12", [object("a", "1")], "next")),
    page("next", () => status(410, "Expired", "the snapshot is too old")),
    page(null, () => list("20", [])),
  ]);
  using client = server.client();
  assert.deepEqual(await listAll(client), { names: [], resourceVersion: "20" });
});

Deno.test("KubeClient.listAll() gives up when no snapshot lasts, or the first page is refused", async () => {
  const first = page(null, () => list("12", [object("a", "1")], "next"));
  const expired = page("next", () => status(410, "Expired", "the snapshot is too old"));
  await using server = new ScriptedServer([
    ...Array(4).fill([first, expired]).flat(),
    page(null, () => status(410, "Expired", "no list at all")),
  ]);
  using client = server.client();
  assert.ok(isExpired(await failureOf(listAll(client))));
  assert.match((await failureOf(listAll(client))).message, /no list at all$/);
});

Deno.test("KubeClient.listAll() never takes half a list for a whole one", async (t) => {
  const whole = JSON.stringify({ metadata: { resourceVersion: "1" }, items: [object("a", "1"), object("b", "1")] });
  for (const ending of ["cut", "end"] as const) {
    await t.step(ending, async () => {
      await using server = new ScriptedServer([page(null, () => stream([whole.slice(0, -20)], ending))]);
      using client = server.client();
      assert.equal((await failureOf(listAll(client))).status, 0);
    });
  }
});

Deno.test("KubeClient.watch() yields events and bookmarks and throws ERROR events", async () => {
  await using server = new ScriptedServer([{
    path: "/api/v1/pods",
    query: { watch: "true", allowWatchBookmarks: "true", resourceVersion: "5", timeoutSeconds: "300" },
    answer: () =>
      stream([
        event("ADDED", object("a", "6")),
        event("BOOKMARK", { metadata: { resourceVersion: "9" } }),
        event("ERROR", { kind: "Status", code: 410, reason: "Expired", message: "too old" }),
      ]),
  }]);
  using client = server.client();
  const seen: string[] = [];
  const error = await failureOf((async () => {
    for await (const event of client.watch(Pod, { resourceVersion: "5", timeoutSeconds: 300 })) {
      seen.push(`${event.type} ${event.object.metadata?.resourceVersion}`);
    }
  })());
  assert.deepEqual(seen, ["ADDED 6", "BOOKMARK 9"]);
  assert.deepEqual(
    [error.status, error.reason, error.message],
    [410, "Expired", "Cannot watch pods of all namespaces: too old"],
  );
});

Deno.test("KubeClient.watch() outlives the time for an answer once its head has come", async () => {
  await using server = new ScriptedServer([{
    path: "/api/v1/pods",
    answer: () => {
      const body = new ReadableStream({
        start: (controller) => {
          setTimeout(() => {
            controller.enqueue(new TextEncoder().encode(event("ADDED", object("a", "6"))));
            controller.close();
          }, 1_200); // more than the time for an answer, which a busy machine needs
        },
      });
      return new Response(body);
    },
  }]);
  using client = server.client({ timeoutMs: 1_000 });
  const events = await Array.fromAsync(client.watch(Pod, { resourceVersion: "5" }));
  assert.equal(events.length, 1);
});

Deno.test("KubeClient.watch() closes its connection when its reader leaves or its signal fires", async (t) => {
  const endless = (closed: () => void): Call["answer"] => () =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode(event("ADDED", object("a", "6")))),
        cancel: closed,
      }),
    );
  await t.step("break", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = new ScriptedServer([{ path: "/api/v1/pods", answer: endless(closed.resolve) }]);
    using client = server.client();
    for await (const _ of client.watch(Pod, { resourceVersion: "5" })) break;
    await closed.promise;
  });
  await t.step("signal", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = new ScriptedServer([{ path: "/api/v1/pods", answer: endless(closed.resolve) }]);
    using client = server.client();
    const controller = new AbortController();
    await assert.rejects(
      async () => {
        for await (const _ of client.watch(Pod, { resourceVersion: "5", signal: controller.signal })) {
          controller.abort("enough");
        }
      },
      (reason) => reason === "enough",
    );
    await closed.promise;
  });
});
