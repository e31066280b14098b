import assert from "node:assert/strict";
import type { UserInfo } from "kubernetes-types/authentication/v1.d.ts";
import { KubeClient } from "../../lib/kube/client.ts";
import { loadCredentials } from "../../lib/kube/credentials.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../lib/kube/errors.ts";
import { EventRecorder } from "../../lib/kube/events.ts";
import { type KubeObject, resources } from "../../lib/kube/resources.ts";
import { failureOf } from "../support/failure_of.ts";
import { startCluster } from "./cluster.ts";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const namespace = "default";

async function connect(kubeconfig?: string, options: { impersonate?: { user: string; groups: string[] } } = {}) {
  const credentials = await loadCredentials({ kubeconfig: kubeconfig ?? await cluster.kubeconfig() });
  return new KubeClient({ credentials, fieldManager: "tester", ...options });
}

async function whoami(client: KubeClient): Promise<UserInfo | undefined> {
  return (await client.create(resources.SelfSubjectReview, {})).status?.userInfo;
}

Deno.test("a kubeconfig's identities reach the API server", async (t) => {
  await t.step("client certificate", async () => {
    using client = await connect(await cluster.kubeconfig({ name: "jane", groups: ["pharma", "auditors"] }));
    const who = await whoami(client);
    assert.deepEqual([who?.username, who?.groups], ["jane", ["pharma", "auditors", "system:authenticated"]]);
  });
  await t.step("token, and its successor in the same file", async () => {
    await cluster.serviceAccount(namespace);
    const file = `${cluster.processes.folder}/token`;
    await Deno.writeTextFile(file, "not a token");
    using client = await connect(await cluster.writeKubeconfig("by-file", { tokenFile: file }));
    assert.equal((await failureOf(whoami(client))).status, 401);
    await Deno.writeTextFile(file, await cluster.token(namespace, "default"));
    assert.equal((await whoami(client))?.username, "system:serviceaccount:default:default");
  });
  await t.step("impersonation", async () => {
    using client = await connect(undefined, { impersonate: { user: "joe", groups: ["one", "two, three"] } });
    const who = await whoami(client);
    assert.deepEqual([who?.username, who?.groups], ["joe", ["one", "two, three", "system:authenticated"]]);
  });
  await t.step("a server that another authority signed is not talked to", async () => {
    const credentials = await loadCredentials({ kubeconfig: await cluster.kubeconfig() });
    delete credentials.ca;
    using client = new KubeClient({ credentials, fieldManager: "tester" });
    const error = await failureOf(client.raw("/version"));
    assert.deepEqual([error.status, error.reason], [0, "Network"]);
    assert.match(error.message, /certificate/);
  });
});

Deno.test("KubeClient's verbs do what they say on a real API server", async (t) => {
  using client = await connect();
  const { ConfigMap, Namespace, Pod } = resources;
  const desired = {
    apiVersion: "v1" as const,
    kind: "ConfigMap" as const,
    metadata: { namespace, name: "a", labels: { x: "y" } },
    data: { k: "v" },
  };
  const ref = { namespace, name: "a" };

  await t.step("apply, as a dry run", async () => {
    assert.equal((await client.apply(ConfigMap, desired, { dryRun: true })).created, true);
    assert.ok(isNotFound(await failureOf(client.get(ConfigMap, ref))));
  });
  await t.step("apply", async () => {
    const { created, object } = await client.apply(ConfigMap, desired);
    assert.deepEqual([created, object.data], [true, { k: "v" }]);
    assert.equal(object.metadata?.managedFields?.[0]?.manager, "tester");
    assert.equal((await client.apply(ConfigMap, desired)).created, false);
  });
  await t.step("apply a body given as text, for the metadata alone", async () => {
    const contentBody = JSON.stringify({ ...desired, data: { k: "w" } });
    const { object } = await client.apply(ConfigMap, { metadata: ref }, { contentBody, metadataOnly: true });
    assert.deepEqual([object.kind as string, object.data], ["PartialObjectMetadata", undefined]);
    assert.deepEqual((await client.get(ConfigMap, ref)).data, { k: "w" });
  });
  await t.step("apply takes fields by force", async () => {
    await client.mergePatch(ConfigMap, { data: { k: "theirs" } }, ref);
    await client.apply(ConfigMap, desired);
    assert.deepEqual((await client.get(ConfigMap, ref)).data, { k: "v" });
  });
  await t.step("create, and again", async () => {
    const object = { ...desired, metadata: { namespace, name: "b" } };
    await client.create(ConfigMap, object);
    assert.ok(isAlreadyExists(await failureOf(client.create(ConfigMap, object))));
  });
  await t.step("replace, and with an old version", async () => {
    const before = await client.get(ConfigMap, ref);
    const after = await client.replace(ConfigMap, { ...before, data: { k: "replaced" } });
    assert.deepEqual(after.data, { k: "replaced" });
    const error = await failureOf(client.replace(ConfigMap, { ...before, data: {} }));
    assert.deepEqual([isConflict(error), isAlreadyExists(error)], [true, false]);
  });
  await t.step("jsonPatch and mergePatch", async () => {
    const patched = await client.jsonPatch(ConfigMap, [{ op: "add", path: "/data/j", value: "1" }], ref);
    assert.deepEqual(patched.data, { k: "replaced", j: "1" });
    assert.deepEqual((await client.mergePatch(ConfigMap, { data: { j: null } }, ref)).data, { k: "replaced" });
    const error = await failureOf(client.jsonPatch(ConfigMap, [{ op: "remove", path: "/data/none" }], ref));
    assert.equal(error.status, 422);
  });
  await t.step("an invalid object names the field", async () => {
    const error = await failureOf(client.apply(ConfigMap, { ...desired, data: { "a b": "" } } as KubeObject));
    assert.deepEqual([error.status, error.reason, error.details?.causes?.[0]?.field], [422, "Invalid", "data[a b]"]);
  });
  await t.step("delete, only this very object", async () => {
    const { metadata } = await client.get(ConfigMap, ref);
    assert.ok(isConflict(await failureOf(client.delete(ConfigMap, { ...ref, uid: crypto.randomUUID() }))));
    assert.ok(isConflict(await failureOf(client.delete(ConfigMap, { ...ref, resourceVersion: "1" }))));
    await client.delete(ConfigMap, { ...ref, dryRun: true });
    await client.delete(ConfigMap, { ...ref, uid: metadata?.uid, resourceVersion: metadata?.resourceVersion });
    assert.ok(isNotFound(await failureOf(client.delete(ConfigMap, ref))));
  });
  await t.step("eviction", async () => {
    await cluster.serviceAccount(namespace);
    const spec = { containers: [{ name: "c", image: "localhost/none:1" }] };
    const metadata = { namespace, name: "evicted" };
    await client.create(Pod, { apiVersion: "v1", kind: "Pod", metadata, spec });
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata };
    await client.createSubresource(Pod, eviction, { subresource: "eviction" });
    assert.ok(isNotFound(await failureOf(client.createSubresource(Pod, eviction, { subresource: "eviction" }))));
  });
  await t.step("list, by selectors and for metadata alone", async () => {
    const page = await client.list(Namespace, { fieldSelector: "metadata.name=default", metadataOnly: true });
    assert.deepEqual(page.items.map((item) => [item.metadata?.name, item.spec]), [["default", undefined]]);
  });
});

Deno.test("KubeClient.listAll() pages through a real list, and its version is where a watch goes on", async () => {
  using client = await connect();
  const { Secret } = resources;
  const names = Array.from({ length: 23 }, (_, i) => `s${String(i).padStart(2, "0")}`);
  for (const name of names) {
    const stringData = { text: `"items":[{}] ü ${name}` };
    await client.create(Secret, { apiVersion: "v1", kind: "Secret", metadata: { namespace, name }, stringData });
  }
  const seen: (string | undefined)[] = [];
  let resourceVersion = "";
  for await (const part of client.listAll(Secret, { namespace, limit: 5 })) {
    seen.push(...part.items.map((item) => item.metadata?.name));
    resourceVersion = part.resourceVersion ?? resourceVersion;
  }
  assert.deepEqual(seen, names);
  const watching = client.watch(Secret, { namespace, resourceVersion });
  await client.delete(Secret, { namespace, name: "s07" });
  for await (const event of watching) {
    if (event.type === "BOOKMARK") continue;
    assert.deepEqual([event.type, event.object.metadata?.name], ["DELETED", "s07"]);
    break;
  }
});

Deno.test("EventRecorder's Events are accepted, and counted", async () => {
  using client = await connect();
  const { metadata } = await client.get(resources.Namespace, { name: "kube-public" });
  const logs: unknown[] = [];
  const log = (message: string, fields?: object): void => void logs.push([message, fields]);
  const report = async (times: number): Promise<void> => {
    const recorder = new EventRecorder({
      client,
      component: "data-spacer",
      instance: "data-spacer-0",
      log: { debug: log, warn: log, error: log },
      windowMs: 3_600_000 * 24,
    });
    const regarding = { name: metadata!.name!, uid: metadata!.uid! };
    for (let i = 1; i <= times; i++) {
      const message = `changed ${i} times`;
      recorder.record({ regarding, type: "Warning", reason: "ObjectDrift", message, key: "ConfigMap" });
      await recorder.flush(AbortSignal.timeout(10_000));
    }
  };
  await report(3);
  await report(2); // as after a restart
  assert.deepEqual(logs, []);
  const { stdout } = await cluster.kubectl(["events", "-n", "default", "--for", "namespace/kube-public"]);
  assert.match(stdout, /\(x5 over .*Warning\s+ObjectDrift\s+Namespace\/kube-public\s+changed 2 times/);
});
