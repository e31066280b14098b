import assert from "node:assert/strict";
import { resources } from "../../lib/kube/resources.ts";
import { failureOf } from "../support/failure_of.ts";
import { type Call, object, ScriptedServer, status } from "./scripted_server.ts";

const { ConfigMap, Namespace, Pod, SubjectAccessReview } = resources;
const CONFIG_MAP = "/api/v1/namespaces/tenant/configmaps/a";
const desired = {
  apiVersion: "v1" as const,
  kind: "ConfigMap" as const,
  metadata: { namespace: "tenant", name: "a" },
  data: { k: "v" },
};

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
