import assert from "node:assert/strict";
import { connect, type TLSSocket } from "node:tls";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { injectedNames } from "../../lib/core/names.ts";
import { selfDial } from "../../lib/webhook/self_dial.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { consumer, Liqo, liqoPod } from "./liqo.ts";
import { until } from "./processes.ts";

// What a consumer may try so that a pod gets past the proxy. Whatever the API server answers: no pod may be stored, or come back from a dry
// run, that lacks the proxy, has an altered one, or contradicts the rules.

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
const dataSpacer = await startDataSpacer(cluster);
await liqo.createTenantNamespace();
const NAMESPACE = "trial-b"; // as long as the name of the unguarded one, for the protobuf below
await liqo.createOffloadedNamespace(NAMESPACE);
const reference = await liqo.createPod(await liqoPod(NAMESPACE, "reference"), { dryRun: true, retryMs: 10_000 });
assert.ok(reference.created);
const OURS = reference.pod.spec!.initContainers!.slice(0, 2);

const token = await cluster.token("liqo", "liqo-controller-manager");
const http = Deno.createHttpClient({ caCerts: [cluster.ca], http2: false });
Deno.test.afterAll(() => http.close());

/** A request as Liqo, byte by byte. */
async function raw(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  method = "POST",
): Promise<{ status: number; bytes: Uint8Array<ArrayBuffer>; text: string }> {
  const response = await fetch(new URL(path, cluster.server), {
    method,
    body,
    headers: { accept: "application/json", authorization: `Bearer ${token}`, ...headers },
    client: http,
  });
  const bytes = await response.bytes();
  return { status: response.status, bytes, text: new TextDecoder().decode(bytes) };
}

const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;

/** Every pod that an attempt could have left behind is guarded. */
async function assertGuarded(): Promise<void> {
  const { items } = await cluster.call<{ items: Pod[] }>(PODS);
  for (const pod of items) assertPodGuarded(pod);
}

function assertPodGuarded(pod: Pod): void {
  const name = pod.metadata?.name;
  const { initContainers = [], containers, ephemeralContainers, volumes = [], ...spec } = pod.spec!;
  const own = ({ env: _, securityContext, args, ...rest }: Container) => {
    const { runAsUser: _user, runAsGroup: _group, ...security } = securityContext ?? {};
    return { ...rest, security, args: args?.filter((arg) => !arg.startsWith("proxy-uid=")) };
  };
  assert.deepEqual(initContainers.slice(0, 2).map(own), OURS.map(own), `${name}: our containers`);
  const proxyUid = initContainers[1]!.securityContext!.runAsUser;
  assert.ok(initContainers[0]!.args!.includes(`proxy-uid=${proxyUid}`), `${name}: the rules are for another uid`);
  assert.equal(ephemeralContainers, undefined);
  const shared = { hostNetwork: undefined, hostPID: undefined, hostIPC: undefined, ...spec };
  assert.ok(![shared.hostNetwork, shared.hostPID, shared.hostIPC, spec.shareProcessNamespace].includes(true), name);
  for (const { name: of, securityContext, volumeMounts = [] } of [...initContainers.slice(2), ...containers]) {
    const uid = securityContext?.runAsUser ?? spec.securityContext?.runAsUser;
    assert.ok(uid !== undefined && uid !== 0 && uid !== proxyUid, `${name}/${of}: uid ${uid}`);
    assert.ok(securityContext?.capabilities?.drop?.includes("ALL"), `${name}/${of}: capabilities`);
    assert.deepEqual([securityContext?.privileged ?? false, securityContext?.allowPrivilegeEscalation], [false, false]);
    assert.ok(volumeMounts.every((mount) => !mount.name.startsWith("data-space-")), `${name}/${of}: our volume`);
  }
  const ours = volumes.filter((volume) => volume.name.startsWith("data-space-"));
  assert.deepEqual(ours.map(({ name }) => name).sort(), [injectedNames.configVolume, injectedNames.runVolume].sort());
  assert.ok(volumes.every((volume) => !("hostPath" in volume)), `${name}: hostPath`);
}

/** A pod that only an unguarded API server would take. */
async function evilPod(name: string, namespace = NAMESPACE): Promise<Pod> {
  const pod = await liqoPod(namespace, name);
  pod.spec!.hostNetwork = true;
  pod.spec!.containers[0]!.securityContext = { privileged: true, runAsUser: 0 };
  return pod;
}

const JSON_TYPE = { "content-type": "application/json" };
const REFUSED = /pod-rules\.data-spacer\.provider/;

Deno.test("control: where the webhook is not asked, such a pod is created, and the comparison here finds it", async () => {
  const answer = await liqo.createPod(await evilPod("evil", "default"), { dryRun: true });
  assert.ok(answer.created);
  assert.throws(() => assertPodGuarded(answer.pod));
});

Deno.test("JSON tricks do not hide anything from the webhook", async (t) => {
  const evil = JSON.stringify(await evilPod("evil"));
  const honest = JSON.stringify(await liqoPod(NAMESPACE, "evil"));
  const spec = (text: string) => JSON.stringify(JSON.parse(text).spec);
  const head = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"evil","namespace":"${NAMESPACE}"}`;
  const bodies: Record<string, string> = {
    "spec twice, the evil one first": `${head},"spec":${spec(evil)},"spec":${spec(honest)}}`,
    "spec twice, the evil one last": `${head},"spec":${spec(honest)},"spec":${spec(evil)}}`,
    "a field twice, true first": honest.replace('"spec":{', '"spec":{"hostNetwork":true,"hostNetwork":false,'),
    "a field twice, true last": honest.replace('"spec":{', '"spec":{"hostNetwork":false,"hostNetwork":true,'),
    "a key in escapes": honest.replace('"spec":{', '"spec":{"\\u0068ostNetwork":true,'),
    "a key in other letters": honest.replace('"spec":{', '"spec":{"HostNetwork":true,"hostnetwork":true,'),
    "a key with a long s, which folds to s": honest.replace('"spec":{', '"spec":{"ho\u017ftNetwork":true,'),
    "no proxy by null": honest.replace('"spec":{', '"spec":{"initContainers":null,"volumes":null,'),
    "a deep unknown field": honest.replace('"spec":{', `"spec":{"x":${"[".repeat(9_000)}${"]".repeat(9_000)},`),
    "a second document": `${honest}\n${evil}`,
    "a BOM": `\ufeff${evil}`,
    "half a surrogate": evil.replace('"name":"evil"', '"name":"evil","annotations":{"a":"\\ud800"}'),
    "fields of apiserver": honest.replace('"metadata":{', '"metadata":{"uid":"x","managedFields":[{"fieldsV1":{}}],'),
  };
  for (const [name, body] of Object.entries(bodies)) {
    await t.step(name, async () => {
      for (const validation of ["Ignore", "Warn", "Strict"]) {
        const { status, text } = await raw(`${PODS}?fieldValidation=${validation}`, body, JSON_TYPE);
        assert.ok(status < 500, text);
        if (status === 201) assertPodGuarded(JSON.parse(text));
        await cluster.request(`${PODS}/evil`, { method: "DELETE" });
      }
    });
  }
  await assertGuarded();
});

Deno.test("other media types and other ways to create a pod end at the same webhook", async (t) => {
  const evil = await evilPod("evil");
  const honest = await liqoPod(NAMESPACE, "honest");
  await t.step("YAML", async () => {
    const yaml = { "content-type": "application/yaml" };
    assert.match((await raw(PODS, JSON.stringify(evil), yaml)).text, REFUSED);
    const alias = `{apiVersion: v1, kind: Pod, metadata: {name: evil}, spec: {hostNetwork: &a true, hostPID: *a, ` +
      `containers: [{name: a, image: b}]}}`;
    assert.match((await raw(PODS, alias, yaml)).text, REFUSED);
    const { status, text } = await raw(PODS, JSON.stringify(honest), yaml);
    assert.equal(status, 201, text);
    assertPodGuarded(JSON.parse(text));
  });
  for (const type of ["application/vnd.kubernetes.protobuf", "application/cbor"]) {
    await t.step(type, async () => {
      await cluster.call("/api/v1/namespaces", { body: { metadata: { name: `${NAMESPACE.slice(0, -1)}a` } } })
        .catch(() => {});
      await cluster.serviceAccount("trial-a");
      const pod = JSON.stringify(await evilPod("evil", "trial-a"));
      const other = await raw("/api/v1/namespaces/trial-a/pods?dryRun=All", pod, { ...JSON_TYPE, accept: type });
      if (other.status === 406) return; // this API server does not speak it
      assert.equal(other.status, 201, other.text);
      const { bytes } = other;
      const [from, to] = ["trial-a", "trial-b"].map((name) => new TextEncoder().encode(name));
      for (let i = 0; i + from!.length <= bytes.length; i++) {
        if (from!.every((byte, k) => bytes[i + k] === byte)) bytes.set(to!, i);
      }
      assert.match((await raw(PODS, bytes, { "content-type": type })).text, REFUSED);
    });
  }
  await t.step("server-side apply", async () => {
    const apply = { "content-type": "application/apply-patch+yaml" };
    const path = (name: string) => `${PODS}/${name}?fieldManager=x&force=true`;
    assert.match((await raw(path("evil"), JSON.stringify(evil), apply, "PATCH")).text, REFUSED);
    const { status, text } = await raw(
      path("applied"),
      JSON.stringify(await liqoPod(NAMESPACE, "applied")),
      apply,
      "PATCH",
    );
    assert.equal(status, 201, text);
    assertPodGuarded(JSON.parse(text));
  });
  await t.step("PUT and merge patch make no pod", async () => {
    const put = await cluster.request(`${PODS}/evil`, { method: "PUT", body: evil });
    const patch = await cluster.request(`${PODS}/evil`, {
      method: "PATCH",
      body: evil,
      contentType: "application/merge-patch+json",
    });
    assert.deepEqual([put.status, patch.status], [404, 404]);
  });
  await t.step("generateName", async () => {
    for (const [pod, status] of [[evil, 403], [honest, 201]] as const) {
      const { name: _, ...metadata } = { ...pod.metadata!, generateName: "made-" };
      assert.equal((await cluster.request(PODS, { body: { ...pod, metadata } })).status, status);
    }
  });
  await t.step("a binding, and containers added later, need a pod that is there", async () => {
    for (const subresource of ["binding", "eviction", "ephemeralcontainers", "resize", "status"]) {
      const { status } = await cluster.request(`${PODS}/evil/${subresource}`, { method: "PUT", body: evil });
      assert.ok(status >= 400, `${subresource}: ${status}`);
    }
  });
  await t.step("the consumer itself creates none, evicts none, binds none", async () => {
    for (const subresource of [undefined, "binding", "eviction", "ephemeralcontainers", "resize", "status"]) {
      for (const verb of ["create", "update", "patch"]) {
        const what = { verb, resource: "pods", namespace: NAMESPACE, ...(subresource ? { subresource } : {}) };
        assert.equal(await cluster.allows(consumer(), what), false, `${verb} pods/${subresource ?? ""}`);
      }
    }
  });
  await assertGuarded();
});

/** What a consumer writes into a pod; `harmless`: it may be created, guarded. */
type Attempt = [name: string, change: (pod: Pod & { spec: Record<string, unknown> }) => void, harmless?: "harmless"];

const first = (pod: Pod): Container & Record<string, unknown> =>
  pod.spec!.containers[0]! as Container & Record<string, unknown>;
const volume = (name: string, source: object) => (pod: Pod) => {
  pod.spec!.volumes!.push({ name, ...source });
};

const attempts: Attempt[] = [
  ["both our names, in the other order", (pod) => {
    pod.spec.initContainers = structuredClone(OURS).reverse();
  }],
  ["our containers without our volumes", (pod) => {
    pod.spec.initContainers = structuredClone(OURS);
  }],
  ["our names among the containers", (pod) => {
    pod.spec.containers.push({ name: injectedNames.proxy, image: "localhost/x:1" });
  }],
  ["a sidecar of its own before ours", (pod) => {
    const sidecar = { name: "first", image: "localhost/x:1", restartPolicy: "Always" };
    pod.spec.initContainers = [sidecar as Container];
  }, "harmless"],
  ["every uid of the proxy's range taken", (pod) => {
    pod.spec.securityContext = { supplementalGroups: Array.from({ length: 10 }, (_, i) => 21_337 + i) };
  }],
  ["the proxy's uid as a group", (pod) => {
    pod.spec.securityContext = { supplementalGroups: [21_337], fsGroup: 21_338 };
  }, "harmless"],
  ["root in a user namespace", (pod) => {
    pod.spec.hostUsers = false;
    first(pod).securityContext = { runAsUser: 0 };
  }],
  ["a Windows pod", (pod) => {
    pod.spec.os = { name: "windows" };
    pod.spec.securityContext = {};
  }],
  ["an ephemeral container", (pod) => {
    pod.spec.ephemeralContainers = [{ name: "debug", image: "localhost/x:1" }];
  }],
  ["overhead", (pod) => pod.spec.overhead = { cpu: "1m" }],
  ["a priority without a class", (pod) => (pod.spec as { priority?: number }).priority = 2_000_000_000],
  ["a runtime class", (pod) => pod.spec.runtimeClassName = "kata"],
  ["a mirror pod, which must name its node", (pod) => {
    pod.spec.nodeName = "node";
    pod.metadata!.annotations!["kubernetes.io/config.mirror"] = "x";
    pod.spec.volumes = []; // a mirror pod may name no Secret
    delete first(pod).volumeMounts;
  }],
  ["a static pod's source", (pod) => pod.metadata!.annotations!["kubernetes.io/config.source"] = "file", "harmless"],
  ["the proxy's AppArmor by annotation", (pod) => {
    const key = `container.apparmor.security.beta.kubernetes.io/${injectedNames.proxy}`;
    pod.metadata!.annotations![key] = "unconfined";
  }],
  ["a profile of AppArmor for all containers, ours too", (pod) => {
    const appArmorProfile = { type: "Localhost", localhostProfile: "permissive" };
    Object.assign(pod.spec, { securityContext: { appArmorProfile } });
  }],
  ["a type of SELinux for all containers, ours too", (pod) => {
    pod.spec.securityContext = { seLinuxOptions: { type: "container_engine_t" } };
  }],
  ["all categories of SELinux for all containers, ours too", (pod) => {
    pod.spec.securityContext = { seLinuxOptions: { level: "s0-s0:c0.c1023" } };
  }],
  ["an opt-out on the pod", (pod) => {
    Object.assign(pod.metadata!.labels!, { "data-space/apply-webhook": "false", "data-space/netpol-allow": "false" });
  }, "harmless"],
  ["a scheduling gate", (pod) => pod.spec.schedulingGates = [{ name: "example.com/wait" }], "harmless"],
  ["a restart of the whole pod", (pod) => {
    const exitCodes = { operator: "In", values: [1] };
    first(pod).restartPolicy = "Always";
    first(pod).restartPolicyRules = [{ action: "RestartAllContainers", exitCodes }];
  }],
  ["our volume in a sub path", (pod) => {
    first(pod).volumeMounts!.push({ name: injectedNames.runVolume, mountPath: "/x", subPath: "admin.sock" });
  }],
  ["our volume defined by itself", volume(injectedNames.runVolume, { emptyDir: {} })],
  ["our volume defined twice", (pod) => {
    for (let i = 0; i < 2; i++) volume(injectedNames.configVolume, { configMap: { name: "evil" } })(pod);
  }],
  ["a volume of its own on our ConfigMap", (pod) => {
    volume("peek", { configMap: { name: "data-space-envoy-config" } })(pod);
    const projected = { sources: [{ configMap: { name: "data-space-envoy-config" } }] };
    volume("peek-2", { projected })(pod);
    first(pod).volumeMounts!.push({ name: "peek", mountPath: "/peek", subPath: "envoy.yaml" });
  }, "harmless"],
  ["a token of our ServiceAccount's audience", (pod) => {
    volume("token", { projected: { sources: [{ serviceAccountToken: { path: "t", audience: "x" } }] } })(pod);
  }],
  ["environment out of our volume", (pod) => {
    const fileKeyRef = { volumeName: injectedNames.runVolume, path: "x", key: "X" };
    first(pod).env!.push({ name: "X", valueFrom: { fileKeyRef } as object });
  }],
  ["mount propagation", (pod) => {
    first(pod).volumeMounts![0]!.mountPropagation = "Bidirectional";
  }],
  ["name servers among search paths", (pod) => {
    pod.spec.dnsConfig = { nameservers: ["192.0.2.53"], searches: ["a"] };
  }],
  ["poisoned hosts", (pod) => {
    pod.spec.hostAliases = [{ ip: "192.0.2.1", hostnames: ["kubernetes.default", "localhost"] }];
  }, "harmless"],
  ["a port of the proxy", (pod) => first(pod).ports!.push({ containerPort: 15_806 })],
  ["a capability in small letters", (pod) => {
    first(pod).securityContext = { capabilities: { add: ["net_admin"] } };
  }],
  ["a claim of a device", (pod) => {
    (pod.spec as { resourceClaims?: unknown }).resourceClaims = [{ name: "nic", resourceClaimName: "nic" }];
  }],
  ["a pod-level limit that starves the proxy", (pod) => {
    (pod.spec as { resources?: unknown }).resources = { limits: { cpu: "1m", memory: "1Mi" } };
  }],
  ["a pod-level quantity that is none", (pod) => {
    (pod.spec as { resources?: unknown }).resources = { limits: { cpu: "-1" } };
  }],
  ["an annotation key that speaks to a terminal", (pod) => {
    pod.metadata!.annotations!["k8s.v1.cni.cncf.io/\u001b[2J\nok  all is well"] = "x";
  }],
];

Deno.test("no field of a pod gets around the proxy", async (t) => {
  for (const [i, [name, change, harmless]] of attempts.entries()) {
    await t.step(name, async () => {
      const pod = await liqoPod(NAMESPACE, `attempt-${i}`) as Parameters<typeof change>[0];
      change(pod);
      const answer = await liqo.createPod(pod);
      if (harmless) {
        assert.ok(answer.created, answer.created ? "" : answer.message);
        assertPodGuarded(answer.pod);
      } else assert.equal(answer.created, false, "the pod was created");
      if (!answer.created) {
        assert.doesNotMatch(answer.message, /\.ts:|\/lib\/|data-spacer-ca|at [A-Z]\w+\./);
        assert.doesNotMatch(answer.message, /failed calling webhook/);
      }
    });
  }
  await assertGuarded();
});

/** Pods that are large in one way or another; all below the API server's limit of 3 MiB. */
const large: Record<string, (pod: Pod) => void> = {
  "1.2 MB of environment": (pod) => {
    first(pod).env = Array.from({ length: 12_000 }, (_, i) => ({ name: `V${i}`, value: "x".repeat(75) }));
  },
  "2.6 MB that JSON escapes": (pod) => first(pod).args = ["<".repeat(2_600_000)],
  "20,000 small variables": (pod) => {
    first(pod).env = Array.from({ length: 20_000 }, (_, i) => ({ name: `V${i}`, value: "" }));
  },
  "10,000 containers": (pod) => {
    pod.spec!.containers = Array.from({ length: 10_000 }, (_, i) => ({ name: `c${i}`, image: "a" }));
  },
  "200 containers": (pod) => {
    pod.spec!.containers = Array.from({ length: 200 }, (_, i) => ({ name: `c${i}`, image: "a" }));
  },
  "100,000 capabilities": (pod) => {
    first(pod).securityContext = { capabilities: { add: Array.from({ length: 100_000 }, (_, i) => `C${i}`) } };
  },
  "20,000 resources": (pod) => {
    const limits = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`a.b/c${i}`, "1"]));
    first(pod).resources = { limits };
  },
  "60,000 projected tokens": (pod) => {
    const sources = Array.from({ length: 60_000 }, () => ({ serviceAccountToken: { path: "t" } }));
    pod.spec!.volumes!.push({ name: "many", projected: { sources } });
  },
  "20,000 annotations": (pod) => {
    for (let i = 0; i < 20_000; i++) pod.metadata!.annotations![`k8s.v1.cni.cncf.io/${i}`] = "";
  },
};

Deno.test("a very large pod is answered in time, and does not hold up another's", async (t) => {
  for (const [name, change] of Object.entries(large)) {
    await t.step(name, async () => {
      const pod = await liqoPod(NAMESPACE, "large");
      change(pod);
      const large = liqo.createPod(pod, { dryRun: true });
      const start = performance.now();
      const small = await liqo.createPod(await liqoPod(NAMESPACE, "small"), { dryRun: true });
      const ms = performance.now() - start;
      assert.ok(small.created, small.created ? "" : small.message);
      assert.ok(ms < 3_000, `the other pod took ${Math.round(ms)} ms`);
      const answer = await large;
      if (answer.created) return assertPodGuarded(answer.pod);
      assert.ok(answer.message.length < 10_000, `a message of ${answer.message.length} characters`);
      assert.doesNotMatch(answer.message, /context deadline exceeded/);
    });
  }
  assert.equal(await dataSpacer.replica.metric("data_spacer_admissions_total", { reason: "internal" }), 0);
});

/** Connections to the webhook from another address than the API server's. With a finished handshake such a one may stay silent for two minutes. */
class Holder implements Disposable {
  readonly #held = new Set<TLSSocket>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Opens more; resolves when each has its handshake, or has been refused. */
  async hold(count: number, localAddress?: string): Promise<void> {
    const { hostname: host, port } = dataSpacer.replica.webhook;
    await Promise.all(Array.from({ length: count }, () =>
      new Promise<void>((resolve) => {
        const options = { host, port: Number(port), rejectUnauthorized: false, ...localAddress && { localAddress } };
        const socket = connect(options, () => {
          this.#held.add(socket);
          resolve();
        });
        socket.on("error", () => resolve()).on("close", () => {
          this.#held.delete(socket);
          resolve();
        });
      })));
  }

  /** Has each send a byte of a request without end, and another each `everyMs`; opens as many anew as were ended. */
  trickle(count: number, { everyMs, localAddress }: { everyMs: number; localAddress: string }): void {
    const begun = new WeakSet<TLSSocket>();
    this.#timer = setInterval(() => {
      for (const socket of this.#held) {
        socket.write(begun.has(socket) ? "x" : "POST /mutate/pod HTTP/1.1\r\nx: ");
        begun.add(socket);
      }
      this.hold(Math.min(50, count - this.#held.size), localAddress);
    }, everyMs);
  }

  get size(): number {
    return this.#held.size;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const socket of this.#held) socket.destroy();
  }
}

Deno.test("whoever holds all connections that the webhook takes does not lock the API server out", async () => {
  const { hostname, port } = dataSpacer.replica.webhook;
  using holder = new Holder();
  for (let i = 0; i < 12; i++) await holder.hold(50);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await holder.hold(50); // may have ended the API server's own connection, silent for as long
  const answer = await liqo.createPod(await liqoPod(NAMESPACE, "locked-out"), { dryRun: true });
  assert.ok(answer.created, answer.created ? "" : answer.message);
  await selfDial({ hostname, port: Number(port), serverName: "x" }, AbortSignal.timeout(5_000));
  assert.ok(await dataSpacer.replica.metric("data_spacer_connections_ended_total", { reason: "evicted" }) > 50);
});

Deno.test("a source that trickles on all connections that the webhook takes does not lock the API server out", async () => {
  using holder = new Holder();
  holder.trickle(600, { everyMs: 400, localAddress: "127.0.0.9" });
  await until(() => Promise.resolve(holder.size >= 450 || undefined), { ms: 20_000, what: "all connections held" });
  for (let i = 0; i < 20; i++) {
    // Several at a time, for which the API server needs new connections.
    await Promise.all([..."abcdefgh"].map(async (name) => {
      const answer = await liqo.createPod(await liqoPod(NAMESPACE, `trickled-${name}-${i}`), { dryRun: true });
      assert.ok(answer.created, answer.created ? "" : answer.message);
    }));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(holder.size >= 400, `${holder.size} are held`);
  assert.ok(await dataSpacer.replica.metric("data_spacer_connections_ended_total", { reason: "evicted" }) > 0);
});

Deno.test("whoever sends the webhook nonsense does not fill its log, and all of it is counted", async () => {
  const { hostname: host, port } = dataSpacer.replica.webhook;
  const counted = () => dataSpacer.replica.metric("data_spacer_admissions_total", { reason: "bad-review" });
  const before = await counted();
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
  let answers = 0;
  const answered = Promise.withResolvers<void>();
  socket.on("error", answered.reject).on("data", (data) => {
    answers += data.toString().split("HTTP/1.1 404").length - 1;
    if (answers === 500) answered.resolve();
  });
  for (let i = 0; i < 500; i++) socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await answered.promise;
  socket.destroy();
  assert.equal(await counted() - before, 500);
  const lines = (await dataSpacer.replica.logs()).filter(({ message }) => message === "Refused request");
  assert.ok(lines.length > 0 && lines.length <= 25, `${lines.length} lines`);
});
