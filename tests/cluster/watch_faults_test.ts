import assert from "node:assert/strict";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { KubeClient } from "../../lib/kube/client.ts";
import { loadCredentials } from "../../lib/kube/credentials.ts";
import { isExpired, isRetryable } from "../../lib/kube/errors.ts";
import { Informer, type InformerOptions } from "../../lib/kube/informer.ts";
import { resources } from "../../lib/kube/resources.ts";
import { sleep } from "../../lib/kube/time.ts";
import { startCluster } from "./cluster.ts";

const { ConfigMap } = resources;
const namespace = "default";
const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());

async function connect(): Promise<KubeClient> {
  const credentials = await loadCredentials({ kubeconfig: await cluster.kubeconfig() });
  return new KubeClient({ credentials, fieldManager: "tester", timeoutMs: 5_000 });
}

/** A running informer on the ConfigMaps of a label, beside a client that writes them. */
async function watching(label: string, options: Partial<InformerOptions<string, ConfigMap>> = {}) {
  const client = await connect();
  const restarts: string[] = [], changes: string[] = [], errors: unknown[] = [];
  const informer = new Informer<string, ConfigMap>({
    client,
    resource: ConfigMap,
    namespace,
    labelSelector: `test=${label}`,
    pageSize: 20,
    project: (object) => object.data?.k ?? "",
    keyOf: (object) => object.metadata!.name!,
    log: { debug() {}, warn() {}, error: (...entry) => void errors.push(entry) },
    onRestart: (reason) => restarts.push(reason),
    ...options,
  });
  informer.subscribe(({ type, key, value }) => changes.push(`${type} ${key} ${value}`));
  const controller = new AbortController();
  const running = informer.run(controller.signal);
  return {
    client,
    informer,
    restarts,
    changes,
    /** Writes one ConfigMap; again until the server takes it. */
    async write(name: string, k: string): Promise<void> {
      const metadata = { namespace, name, labels: { test: label } };
      await insist(() =>
        client.apply(ConfigMap, { apiVersion: "v1", kind: "ConfigMap", metadata, data: { k } } as ConfigMap)
      );
    },
    async remove(name: string): Promise<void> {
      await insist(() =>
        client.delete(ConfigMap, { namespace, name }).catch((error) => {
          if (error.status !== 404) throw error; // 404: the try before it did
        })
      );
    },
    /** The cache is what the server says, in time. */
    async agrees(ms = 20_000): Promise<void> {
      const { items } = await client.list(ConfigMap, { namespace, labelSelector: `test=${label}` });
      const expected = items.map((object) => [object.metadata!.name, object.data?.k]);
      const seen = () => items.map((object) => [object.metadata!.name, informer.get(object.metadata!.name!)]);
      const deadline = performance.now() + ms;
      while (performance.now() < deadline) {
        if (informer.size === items.length && JSON.stringify(seen()) === JSON.stringify(expected)) return;
        await sleep(20);
      }
      assert.deepEqual(seen(), expected);
      assert.equal(informer.size, items.length);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      controller.abort();
      await running;
      client[Symbol.dispose]();
      assert.deepEqual(errors, []);
    },
  };
}

async function insist(run: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      return void await run();
    } catch (error) {
      if (!isRetryable(error)) throw error;
      await sleep(50);
    }
  }
}

/** Has etcd forget what was before `revision`, as the API server has it do every five minutes. */
async function compactEtcd(revision: number): Promise<void> {
  const command = await Deno.readTextFile(`${cluster.processes.folder}/run/etcd`);
  const url = /--listen-client-urls=(http:[^\s',]+)/.exec(command)![1];
  const response = await fetch(`${url}/v3/kv/compaction`, { method: "POST", body: JSON.stringify({ revision }) });
  assert.equal(response.status, 200, await response.text());
}

async function signalApiServer(signal: Deno.Signal): Promise<void> {
  Deno.kill((await cluster.processes.pid("apiserver"))!, signal);
}

Deno.test("an informer follows a real watch", async () => {
  await using run = await watching("plain");
  await run.informer.synced;
  await run.write("plain-a", "1");
  await run.write("plain-a", "2");
  await run.write("plain-b", "ü");
  await run.remove("plain-a");
  while (run.changes.length < 4) await sleep(5);
  assert.deepEqual(run.changes, [
    "added plain-a 1",
    "updated plain-a 2",
    "added plain-b ü",
    "deleted plain-a 2",
  ]);
});

Deno.test("an informer loses nothing while the API server is killed and started again", async () => {
  await using run = await watching("apiserver");
  for (let i = 0; i < 50; i++) await run.write(`api-${i}`, "0");
  await run.agrees();
  let stop = false;
  const writing = (async () => {
    for (let n = 1; !stop; n++) {
      const name = `api-${n % 50}`;
      if (n % 7 === 0) await run.remove(name);
      else await run.write(name, `${n}`);
    }
  })();
  for (let kills = 0; kills < 3; kills++) {
    await sleep(300);
    await cluster.killApiServer();
    await cluster.startApiServer();
  }
  await sleep(300);
  stop = true;
  await writing;
  await run.agrees();
  assert.ok(run.restarts.length >= 3, run.restarts.join());
});

Deno.test("an informer loses nothing while etcd is killed and started again", async () => {
  await using run = await watching("etcd");
  await run.write("etcd-a", "before");
  await run.agrees();
  await cluster.killEtcd();
  await sleep(1_000);
  const writing = run.write("etcd-a", "after");
  await cluster.startEtcd();
  await writing;
  await run.write("etcd-b", "new");
  await run.agrees();
});

Deno.test("an informer lists again when its version is too old for the API server (a real 410)", async () => {
  let awake = Promise.resolve();
  await using run = await watching("expired", {
    sleep: (ms, signal) => ms > 60_000 ? sleep(ms, signal) : awake, // what is longer is the guard against stalls
  });
  for (let i = 0; i < 30; i++) await run.write(`old-${i}`, "0");
  await run.agrees();
  const { continue: token } = await run.client.list(ConfigMap, { namespace, limit: 5 });

  // While the informer sleeps, much happens, and the next API server process knows only what etcd remembers.
  const { promise, resolve: wake } = Promise.withResolvers<void>();
  awake = promise;
  await cluster.killApiServer();
  while (run.restarts.length === 0) await sleep(5);
  await cluster.startApiServer();
  await run.write("old-0", "1");
  await run.remove("old-1");
  await run.write("old-30", "1");
  const { metadata } = await run.client.get(ConfigMap, { namespace, name: "old-30" });
  await cluster.killApiServer();
  await compactEtcd(Number(metadata!.resourceVersion));
  await cluster.startApiServer();
  const old = btoa(JSON.stringify({ ...JSON.parse(atob(token!)), rv: 2 })).replace(/=+$/, "");
  await assert.rejects(run.client.list(ConfigMap, { namespace, limit: 5, continue: old }), isExpired);
  wake();
  await run.agrees();
  assert.deepEqual([run.restarts.at(0), run.restarts.at(-1)], ["interrupted", "expired"]);
});

Deno.test("an informer drops a watch of an API server that has stopped to speak", async () => {
  await using run = await watching("stopped", { stallMs: 1_500 });
  await run.write("stopped-a", "before");
  await run.agrees();
  await signalApiServer("SIGSTOP");
  try {
    while (!run.restarts.includes("stalled")) await sleep(20);
  } finally {
    await signalApiServer("SIGCONT");
  }
  await run.write("stopped-a", "after");
  await run.agrees();
});

Deno.test("an informer finds its way when etcd was restored from a backup", async () => {
  await using run = await watching("restored", { stallMs: 2_000 });
  const data = `${cluster.processes.folder}/etcd`, backup = `${cluster.processes.folder}/etcd-backup`;
  await run.write("restored-a", "in the backup");
  await run.write("restored-b", "in the backup");
  await run.agrees();
  await cluster.killEtcd();
  await new Deno.Command("cp", { args: ["-a", data, backup] }).output();
  await cluster.startEtcd();
  await run.write("restored-a", "lost");
  await run.remove("restored-b");
  for (let i = 0; i < 100; i++) await run.write("restored-c", `lost ${i}`); // so that our version is far ahead
  await run.agrees();

  await cluster.killApiServer();
  await cluster.killEtcd();
  await Deno.remove(data, { recursive: true });
  await Deno.rename(backup, data);
  await Promise.all([cluster.startEtcd(), cluster.startApiServer()]);
  while (!run.restarts.includes("stalled")) await sleep(20);
  await run.agrees();
  assert.deepEqual([run.informer.get("restored-a"), run.informer.get("restored-b"), run.informer.get("restored-c")], [
    "in the backup",
    "in the backup",
    undefined,
  ]);
});
