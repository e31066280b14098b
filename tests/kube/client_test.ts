import assert from "node:assert/strict";
import { KubeError } from "../../lib/kube/errors.ts";
import { resources } from "../../lib/kube/resources.ts";
import { event, list, object, ScriptedServer, status, stream } from "./scripted_server.ts";

const { ConfigMap, Namespace, Pod } = resources;

/** What `promise` rejects with. */
async function failureOf(promise: Promise<unknown>): Promise<KubeError> {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof KubeError, `a KubeError, not ${error}`);
  return error;
}

Deno.test("KubeClient.get() reads an object and names it when it is not there", async () => {
  await using server = new ScriptedServer([
    { path: "/api/v1/namespaces/tenant/configmaps/a", answer: () => Response.json(object("a", "7")) },
    { path: "/api/v1/namespaces/tenant", answer: () => status(404, "NotFound", 'namespaces "tenant" not found') },
  ]);
  using client = server.client();
  assert.equal((await client.get(ConfigMap, { namespace: "tenant", name: "a" })).metadata?.resourceVersion, "7");
  const error = await failureOf(client.get(Namespace, { name: "tenant" }));
  assert.equal(error.message, 'Cannot get Namespace "tenant": namespaces "tenant" not found');
  assert.deepEqual([error.status, error.reason], [404, "NotFound"]);
});

Deno.test("KubeClient.apply() sends JSON by force as our field manager and tells whether it created", async () => {
  const applied = object("a", "1");
  await using server = new ScriptedServer([201, 200].map((code) => ({
    method: "PATCH",
    path: "/api/v1/namespaces/tenant/configmaps/a",
    query: { force: "true", fieldManager: "tester", dryRun: null },
    headers: { "content-type": "application/apply-patch+yaml", accept: "application/json" },
    body: { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "tenant", name: "a" }, data: {} },
    answer: () => Response.json(applied, { status: code }),
  })));
  using client = server.client();
  const desired = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "tenant", name: "a" }, data: {} };
  assert.equal((await client.apply(ConfigMap, desired)).created, true);
  assert.equal((await client.apply(ConfigMap, desired)).created, false);
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
  assert.deepEqual([error.status, error.reason, error.message], [
    410,
    "Expired",
    "Cannot watch pods of all namespaces: too old",
  ]);
});

Deno.test("KubeClient.list() reads one page", async () => {
  await using server = new ScriptedServer([{
    path: "/api/v1/namespaces",
    query: { limit: "2", labelSelector: "a=b" },
    answer: () => list("12", [object("a", "1")], "token"),
  }]);
  using client = server.client();
  const page = await client.list(Namespace, { limit: 2, labelSelector: "a=b" });
  assert.deepEqual([page.items.length, page.resourceVersion, page.continue], [1, "12", "token"]);
});
