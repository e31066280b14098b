import assert from "node:assert/strict";
import { isExpired } from "../../lib/kube/errors.ts";
import { resources } from "../../lib/kube/resources.ts";
import { failureOf } from "../support/failure_of.ts";
import { type Call, event, list, object, ScriptedServer, status, stream } from "./scripted_server.ts";

const { ConfigMap, Namespace, Pod } = resources;

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
