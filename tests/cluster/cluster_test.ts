import assert from "node:assert/strict";
import { startCluster } from "./cluster.ts";
import { exists } from "./cache.ts";
import { consumer, LIQO, Liqo, liqoPod } from "./liqo.ts";
import { Authority, type KeyPair } from "./pki.ts";
import { until } from "./processes.ts";

const cluster = await startCluster({ audit: true });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
await liqo.createTenantNamespace();
await liqo.createOffloadedNamespace();

Deno.test("startCluster() runs the chosen release", async () => {
  const { gitVersion } = await cluster.call<{ gitVersion: string }>("/version");
  assert.equal(gitVersion, cluster.binaries.release);
});

Deno.test("Cluster.kubectl() gives code, output and errors, and reads stdin", async () => {
  const created = await cluster.kubectl(["create", "-f", "-", "-o", "name"], {
    stdin: JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "from-stdin", namespace: "default" },
    }),
  });
  assert.deepEqual(created, { code: 0, stdout: "configmap/from-stdin\n", stderr: "" });
  const failed = await cluster.kubectl(["get", "configmap", "absent"]);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /configmaps "absent" not found/);
});

Deno.test("Cluster.kubeconfig() makes a user by client certificate", async () => {
  const kubeconfig = await cluster.kubeconfig({ name: "jane", groups: ["pharma", "auditors"] });
  const { stdout } = await cluster.kubectl(["auth", "whoami", "-o", "json"], { kubeconfig });
  const { username, groups } = JSON.parse(stdout).status.userInfo;
  assert.deepEqual([username, groups], ["jane", ["pharma", "auditors", "system:authenticated"]]);
});

Deno.test("Cluster.token() makes a token that the API server takes for the ServiceAccount's", async () => {
  const token = await cluster.token("liqo", "liqo-controller-manager");
  const kubeconfig = await cluster.writeKubeconfig("liqo", { token });
  const { stdout } = await cluster.kubectl(["auth", "whoami", "-o", "json"], { kubeconfig });
  assert.equal(JSON.parse(stdout).status.userInfo.username, LIQO.as);
});

Deno.test("Liqo.createOffloadedNamespace() gives the consumer the rights that Liqo gives it", async (t) => {
  const expected: [allowed: boolean, verb: string, what: string, group?: string][] = [
    [true, "create", "configmaps"],
    [true, "delete", "secrets"],
    [true, "patch", "services"],
    [true, "create", "pods/exec"],
    [true, "create", "pods/attach"],
    [true, "create", "pods/portforward"],
    [true, "get", "pods/log"],
    [true, "watch", "pods"],
    [true, "create", "ingresses", "networking.k8s.io"],
    [true, "create", "shadowpods", "offloading.liqo.io"],
    [false, "create", "pods"],
    [false, "delete", "pods"],
    [false, "update", "pods/ephemeralcontainers"],
    [false, "create", "pods/eviction"],
    [false, "get", "networkpolicies", "networking.k8s.io"],
    [false, "delete", "networkpolicies", "networking.k8s.io"],
    [false, "create", "serviceaccounts"],
    [false, "create", "rolebindings", "rbac.authorization.k8s.io"],
    [false, "patch", "namespaces"],
    [false, "create", "resourcequotas"],
  ];
  const allowed = (namespace: string, verb: string, what: string, group = "") => {
    const [resource = "", subresource = ""] = what.split("/");
    return cluster.allows(consumer(), { namespace, verb, resource, subresource, group });
  };
  for (const [may, verb, what, group] of expected) {
    await t.step(`${may ? "may" : "may not"} ${verb} ${what}`, async () => {
      assert.equal(await allowed("trial-pharma", verb, what, group), may);
      assert.equal(await allowed("liqo-tenant-pharma", verb, what, group), false);
    });
  }
  await t.step("kubectl auth can-i says the same", async () => {
    const canI = (...args: string[]) => cluster.kubectl(["auth", "can-i", "-n", "trial-pharma", ...args], consumer());
    assert.equal((await canI("create", "pods", "--subresource=exec")).stdout, "yes\n");
    assert.equal((await canI("create", "pods")).stdout, "no\n");
  });
});

Deno.test("Liqo.createOffloadedNamespace() can play a consumer that claims another's id", async () => {
  await liqo.createOffloadedNamespace("trial-spoofed", { claims: "bank" });
  const { metadata } = await cluster.call<
    { metadata: { labels: Record<string, string>; annotations: Record<string, string> } }
  >(
    "/api/v1/namespaces/trial-spoofed",
  );
  assert.equal(metadata.labels["liqo.io/remote-cluster-id"], "bank");
  assert.equal(metadata.annotations["liqo.io/managed-by-namespace-map"], "liqo-tenant-pharma/hospital");
});

Deno.test("Liqo.createPod() creates Liqo's pod, which the API server keeps as it is", async () => {
  await liqo.createReflectedObjects();
  const pod = await liqoPod();
  const answer = await liqo.createPod(pod);
  assert.ok(answer.created);
  assert.deepEqual(answer.pod.spec!.containers[0]!.env, pod.spec!.containers[0]!.env);
  assert.deepEqual(answer.pod.metadata!.labels, pod.metadata!.labels);
  assert.equal(answer.pod.metadata!.managedFields?.[0]?.manager, "shadow-pod");
  const again = await liqo.createPod(pod);
  assert.deepEqual({ ...again, message: "" }, { created: false, status: 409, message: "" });
});

Deno.test("a webhook that is registered by its Service is called at the address in an EndpointSlice, over HTTP/1.1", async () => {
  const authority = await Authority.create();
  const pair = await authority.issue({ name: "hook", hosts: ["hook.default.svc"] });
  await using server = listen(cluster.webhookAddress, pair);
  await cluster.call("/api/v1/namespaces/default/services", {
    body: { metadata: { name: "hook" }, spec: { ports: [{ port: 443 }] } },
  });
  await cluster.call("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    body: {
      metadata: { name: "hook", labels: { "kubernetes.io/service-name": "hook" } },
      addressType: "IPv4",
      endpoints: [{ addresses: [cluster.webhookAddress], conditions: { ready: true } }],
      ports: [{ name: "", port: server.port, protocol: "TCP" }],
    },
  });
  const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
  await cluster.call(path, {
    body: {
      metadata: { name: "hook" },
      webhooks: [{
        name: "hook.example.com",
        clientConfig: { service: { namespace: "default", name: "hook", path: "/x" }, caBundle: btoa(authority.ca) },
        rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] }],
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "default" } },
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
        timeoutSeconds: 2,
      }],
    },
  });
  const request = await until(async () => {
    await cluster.request("/api/v1/namespaces/default/configmaps?dryRun=All", { body: { metadata: { name: "x" } } });
    return server.request();
  }, { ms: 10_000, what: "call of the webhook" });
  assert.equal(request, "POST /x?timeout=2s HTTP/1.1");
  await cluster.call(`${path}/hook`, { method: "DELETE" });
});

Deno.test("Cluster.audit() tells who did what", async () => {
  const entries = await cluster.audit();
  const created = entries.find(({ verb, objectRef }) => verb === "create" && objectRef?.name === "liqo-tenant-pharma");
  assert.equal(created?.responseStatus?.code, 201);
});

Deno.test("data survives a crash of the API server and of etcd", async () => {
  await cluster.killApiServer();
  await assert.rejects(cluster.request("/readyz"));
  await cluster.startApiServer();
  await cluster.call("/api/v1/namespaces/trial-pharma/configmaps", {
    body: { metadata: { name: "before-the-crash" } },
  });
  await cluster.killEtcd();
  const path = "/api/v1/namespaces/trial-pharma/configmaps/before-the-crash";
  const read = await cluster.request(path, { signal: AbortSignal.timeout(2_000) }).catch(() => ({ status: 0 }));
  assert.notEqual(read.status, 200);
  await cluster.startEtcd();
  await cluster.call(path);
});

Deno.test("two clusters run at once, and one that is disposed of leaves nothing", async () => {
  const other = await startCluster();
  const { folder } = other.processes;
  const pids = await Promise.all(["etcd", "apiserver", "controllers"].map((name) => other.processes.pid(name)));
  assert.ok(await hasAddress(other.webhookAddress));
  assert.notEqual(other.webhookAddress, cluster.webhookAddress);
  const { status } = await other.request("/api/v1/namespaces/trial-pharma");
  assert.equal(status, 404);
  await other[Symbol.asyncDispose]();
  assert.equal(await exists(folder), false);
  for (const pid of pids) assert.equal(await runs(pid!), false, `process ${pid} still runs`);
  assert.equal(await hasAddress(other.webhookAddress), false);
});

Deno.test("startCluster() that fails says why and leaves nothing", async () => {
  const temporary = await Deno.makeTempDir();
  Deno.env.set("TMPDIR", temporary);
  try {
    const failing = startCluster({ apiServerFlags: ["--no-such-flag"] });
    await assert.rejects(failing, /Cannot start the cluster: apiserver ended with 1:[^]*unknown flag: --no-such-flag/);
  } finally {
    Deno.env.delete("TMPDIR");
    await Deno.remove(temporary); // fails unless it is empty
  }
});

Deno.test("a cluster ends with the process that started it, however that ends", async (t) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
    await t.step(signal, async () => {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--allow-all", decodeURIComponent(new URL("up.ts", import.meta.url).pathname)],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      let text = "";
      for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
        text += part;
        if (text.includes("export KUBECONFIG")) break;
      }
      const folder = /KUBECONFIG=(\S+)\/[^/]+ PATH/.exec(text)![1]!;
      const address = /listen on ([\d.]+)/.exec(text)![1]!;
      assert.ok(await exists(folder));
      child.kill(signal);
      await child.status;
      const gone = async () => await exists(folder) ? undefined : true;
      await until(gone, { ms: 10_000, what: "removal of the cluster's folder" });
      assert.equal(await hasAddress(address), false);
    });
  }
});

async function runs(pid: number): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `kill -0 ${pid}`], stderr: "null" }).output()).success;
}

async function hasAddress(address: string): Promise<boolean> {
  const { stdout } = await new Deno.Command("ip", { args: ["-o", "addr", "show", "to", address] }).output();
  return stdout.length > 0;
}

/** A TLS server that keeps the first line of the first request that it gets, and answers nothing. */
function listen(
  hostname: string,
  pair: KeyPair,
): AsyncDisposable & { port: number; request: () => string | undefined } {
  const listener = Deno.listenTls({ hostname, port: 0, ...pair, alpnProtocols: ["h2", "http/1.1"] });
  let request: string | undefined;
  const accepting = (async () => {
    for await (const connection of listener) {
      const buffer = new Uint8Array(1_024);
      const length = await connection.read(buffer).catch(() => null);
      request ??= new TextDecoder().decode(buffer.subarray(0, length ?? 0)).split("\r\n")[0];
      connection.close();
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    request: () => request,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
    },
  };
}
