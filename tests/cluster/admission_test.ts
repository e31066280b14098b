import assert from "node:assert/strict";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { injectedNames, labels } from "../../lib/core/names.ts";
import { isInjected } from "../../lib/core/tenant_containers.ts";
import { CertificateMaker } from "../../lib/webhook/x509.ts";
import { ROOT } from "../support/tree.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { freePort } from "./network.ts";

// AlwaysPullImages changes our containers before the webhook sees them again; it harms no other test.
const cluster = await startCluster({ admissionPlugins: ["AlwaysPullImages"] });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
const dataSpacer = await startDataSpacer(cluster);
await liqo.createTenantNamespace();

/** An offloaded namespace of its own for each test. */
async function offloaded(name: string, extra: Record<string, string> = {}): Promise<string> {
  await liqo.createOffloadedNamespace(name, { labels: extra });
  return name;
}

async function create(pod: Pod, options: Parameters<Liqo["createPod"]>[1] = { retryMs: 10_000 }): Promise<Pod> {
  const answer = await liqo.createPod(pod, options);
  assert.ok(answer.created, answer.created ? "" : answer.message);
  return answer.pod;
}

async function refused(pod: Pod): Promise<string> {
  const answer = await liqo.createPod(pod);
  assert.ok(!answer.created, "the pod was created");
  return answer.created ? "" : answer.message;
}

/** Waits until pods of a namespace are admitted. */
async function settled(namespace: string): Promise<void> {
  await create(await liqoPod(namespace, "settle"), { dryRun: true, retryMs: 10_000 });
}

function ours(pod: Pod): Container[] {
  assert.ok(isInjected(pod), "no proxy in the pod");
  return pod.spec!.initContainers!.slice(0, 2);
}

Deno.test("a pod is injected, and its own containers stay in order with all that they say", async () => {
  const namespace = await offloaded("injected");
  const before = await liqoPod(namespace, "one");
  before.spec!.initContainers = [{ name: "first", image: "localhost/a:1" }, { name: "second", image: "localhost/b:1" }];
  before.spec!.containers[0]!.securityContext = { readOnlyRootFilesystem: true, runAsUser: 4_711 };
  const pod = await create(before);
  assert.deepEqual(pod.spec?.initContainers?.map(({ name }) => name), [
    injectedNames.init,
    injectedNames.proxy,
    "first",
    "second",
  ]);
  const [init, proxy] = ours(pod);
  assert.deepEqual(init!.resources!.requests, init!.resources!.limits);
  assert.deepEqual(proxy!.resources!.requests, proxy!.resources!.limits);
  assert.equal(proxy!.restartPolicy, "Always");
  const mount = proxy!.volumeMounts!.find(({ name }) => name === injectedNames.configVolume);
  assert.deepEqual([mount?.readOnly, mount?.subPath], [true, undefined]);
  const security = pod.spec!.containers[0]!.securityContext!;
  assert.deepEqual([security.readOnlyRootFilesystem, security.runAsUser], [true, 4_711]);
  assert.deepEqual([security.allowPrivilegeEscalation, security.capabilities], [false, { drop: ["ALL"] }]);
  assert.equal(pod.metadata?.labels?.[labels.netpolAllow], "true");
  assert.deepEqual(pod.spec?.containers[0]?.env, before.spec?.containers[0]?.env);
});

Deno.test("a pod that follows its namespace at once is refused with a message that says so, and then admitted", async () => {
  const name = "hurried";
  await liqo.createOffloadedNamespace(name, { labels: {} }, false);
  const answers: string[] = [];
  const pod = await liqoPod(name, "one");
  for (const end = performance.now() + 10_000; performance.now() < end;) {
    const answer = await liqo.createPod(pod);
    if (answer.created) {
      ours(answer.pod);
      return;
    }
    answers.push(answer.message);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`never admitted: ${answers.at(-1)}`);
});

Deno.test("a namespace whose objects are not there refuses its pods as not ready", async () => {
  const namespace = await offloaded("unready");
  await settled(namespace);
  await using stopped = await startStopped();
  await cluster.kubectl(["-n", namespace, "delete", "networkpolicy", "data-space-network-policy"]);
  await stopped.until(async () => {
    const message = await refused(await liqoPod(namespace, "one"));
    return /not ready yet/.test(message);
  });
});

/** A second replica that serves while the leader is stopped, so that nothing is repaired. */
async function startStopped() {
  const other = await dataSpacer.startReplica();
  await dataSpacer.replica.leave();
  const pid = await dataSpacer.replica.pid();
  Deno.kill(pid!, "SIGSTOP");
  return {
    async until(look: () => Promise<boolean>) {
      for (const end = performance.now() + 8_000; performance.now() < end;) if (await look()) return;
      assert.fail("not within 8 s");
    },
    async [Symbol.asyncDispose]() {
      Deno.kill(pid!, "SIGCONT");
      await dataSpacer.replica.stop();
      await other.stop();
      await dataSpacer.startReplica();
    },
  };
}

Deno.test("ResourceQuota and LimitRange count the proxy in, and a Guaranteed pod stays Guaranteed", async () => {
  const namespace = await offloaded("quota");
  await settled(namespace);
  const apply = async (object: object) => {
    const { code, stderr } = await cluster.kubectl(["apply", "-f", "-"], { stdin: JSON.stringify(object) });
    assert.equal(code, 0, stderr);
  };
  await apply({
    apiVersion: "v1",
    kind: "LimitRange",
    metadata: { name: "limits", namespace },
    spec: {
      limits: [{
        type: "Container",
        default: { cpu: "1", memory: "256Mi", "ephemeral-storage": "1Gi" },
        defaultRequest: { cpu: "10m", memory: "32Mi", "ephemeral-storage": "100Mi" },
      }],
    },
  });
  await apply({
    apiVersion: "v1",
    kind: "ResourceQuota",
    metadata: { name: "quota", namespace },
    spec: { hard: { "requests.cpu": "2", "limits.memory": "4Gi", "requests.ephemeral-storage": "8Gi" } },
  });
  const before = await liqoPod(namespace, "guaranteed");
  before.spec!.containers[0]!.resources = {
    requests: { cpu: "100m", memory: "64Mi" },
    limits: { cpu: "100m", memory: "64Mi" },
  };
  const pod = await create(before);
  const [, proxy] = ours(pod);
  assert.equal(proxy!.resources!.limits!["ephemeral-storage"], "1Gi", "the LimitRange did not change our container");
  assert.equal((pod.status as { qosClass?: string }).qosClass, "Guaranteed");
});

Deno.test("pod-level resources are raised by what the proxy takes", async () => {
  const namespace = await offloaded("pod-level");
  const before = await liqoPod(namespace, "one");
  (before.spec as { resources?: unknown }).resources = {
    requests: { cpu: "500m", memory: "256Mi" },
    limits: { cpu: "1", memory: "512Mi" },
  };
  const pod = await create(before);
  const [, proxy] = ours(pod);
  assert.deepEqual(proxy!.resources!.requests, { cpu: "200m", memory: "192Mi" });
  assert.deepEqual((pod.spec as { resources?: unknown }).resources, {
    requests: { cpu: "700m", memory: "448Mi" },
    limits: { cpu: "1200m", memory: "704Mi" },
  });
});

Deno.test("a pod that says nothing of a token gets none, in our containers neither; AlwaysPullImages is tolerated", async () => {
  const namespace = await offloaded("token");
  const before = await liqoPod(namespace, "one");
  delete before.spec!.automountServiceAccountToken;
  const pod = await create(before);
  for (const container of [...ours(pod), ...pod.spec!.containers]) {
    const token = container.volumeMounts?.find(({ mountPath, name }) =>
      mountPath === "/var/run/secrets/kubernetes.io/serviceaccount" && name.startsWith("kube-api-access-") &&
      name !== "kube-api-access-b7q9t"
    );
    assert.equal(token, undefined, container.name);
    assert.equal(container.imagePullPolicy, "Always");
  }
});

Deno.test("a dry run is injected, and leaves nothing behind", async () => {
  const namespace = await offloaded("dry");
  ours(await create(await liqoPod(namespace, "one"), { dryRun: true, retryMs: 10_000 }));
  const { body } = await cluster.request<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods`);
  assert.deepEqual(body.items, []);
});

Deno.test("pods of a namespace with apply-webhook=false are neither injected nor judged", async () => {
  const namespace = await offloaded("opted-out", { [labels.applyWebhook]: "false" });
  const before = await liqoPod(namespace, "one");
  before.spec!.containers[0]!.securityContext = { privileged: true, runAsUser: 0 };
  const pod = await create(before);
  assert.equal(isInjected(pod), false);
  assert.equal(pod.spec!.containers[0]!.securityContext!.privileged, true);
});

Deno.test("pods of tenant namespaces and of all others are left alone", async () => {
  for (const namespace of ["liqo-tenant-pharma", "default"]) {
    await cluster.serviceAccount(namespace);
    assert.equal(isInjected(await create(await liqoPod(namespace, "gateway"))), false);
  }
});

Deno.test("a pod that carries our containers otherwise than we make them is refused, and nothing internal is named", async (t) => {
  const namespace = await offloaded("forged");
  await settled(namespace);
  const real = await create(await liqoPod(namespace, "real"), { dryRun: true });
  const forgeries: Record<string, (pod: Pod) => void> = {
    "another image": (pod) => pod.spec!.initContainers![1]!.image = "localhost/evil:1",
    "another script": (pod) => pod.spec!.initContainers![0]!.command = ["/bin/sh", "-c", "true"],
    "another user": (pod) => pod.spec!.initContainers![1]!.securityContext!.runAsUser = 21_346,
    "one environment variable more": (pod) => pod.spec!.initContainers![1]!.env!.push({ name: "X", value: "y" }),
    "environment from elsewhere": (pod) => pod.spec!.initContainers![1]!.envFrom = [{ configMapRef: { name: "x" } }],
    "no restart": (pod) => delete pod.spec!.initContainers![1]!.restartPolicy,
    "one of the two": (pod) => pod.spec!.initContainers!.splice(0, 1),
    "other requests": (pod) => pod.spec!.initContainers![1]!.resources!.requests!.cpu = "1m",
    "its own configuration": (pod) =>
      pod.spec!.volumes!.find(({ name }) => name === injectedNames.configVolume)!.configMap!.name = "evil",
  };
  for (const [name, change] of Object.entries(forgeries)) {
    await t.step(name, async () => {
      const pod = structuredClone({ ...real, metadata: { ...(await liqoPod(namespace, "forged")).metadata } });
      change(pod);
      const message = await refused(pod);
      assert.match(message, /denied the request|Forbidden|Invalid/i);
      assert.doesNotMatch(message, /\/work|\.ts:|stack/);
    });
  }
  await t.step("exactly as we make them: accepted as they are", async () => {
    const pod = await create({ ...real, metadata: { ...(await liqoPod(namespace, "copied")).metadata } });
    assert.deepEqual(ours(pod), ours(real));
  });
});

Deno.test("what `inject` makes is accepted by the webhook without a change", async () => {
  const namespace = await offloaded("offline");
  await settled(namespace);
  const pod = await liqoPod(namespace, "one");
  const injecting = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-read",
      "--allow-env",
      `${ROOT}main.ts`,
      "inject",
      "-f",
      "-",
      "--resolvers=10.96.0.10",
      "--consumer=pharma",
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = injecting.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(pod)));
  await writer.close();
  const { code, stdout, stderr } = await injecting.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const offline = JSON.parse(new TextDecoder().decode(stdout)) as Pod;
  const admitted = await create(offline, { dryRun: true });
  const patched = await create(pod, { dryRun: true });
  assert.deepEqual(ours(admitted), ours(patched));
  const { allow, patch } = await verdicts();
  await create(offline, { dryRun: true });
  assert.deepEqual(await verdicts(), { allow: allow + 1, patch }, "the webhook changed it");
});

async function verdicts(): Promise<{ allow: number; patch: number }> {
  const sum = async (verdict: string, reason: string) => {
    const each = await Promise.all(
      dataSpacer.replicas.map((r) => r.metric("data_spacer_admissions_total", { verdict, reason }).catch(() => 0)),
    );
    return each.reduce((a, b) => a + b, 0);
  };
  return { allow: await sum("allow", "already-injected"), patch: await sum("patch", "injected") };
}

Deno.test("a webhook that adds containers after us does not harm, and what it adds is judged", async () => {
  const namespace = await offloaded("meddled");
  await settled(namespace);
  await using _other = await otherWebhook(namespace);
  const pod = await create(await liqoPod(namespace, "one"), { dryRun: true });
  ours(pod);
  assert.deepEqual(pod.spec?.initContainers?.map(({ name }) => name), [
    injectedNames.init,
    injectedNames.proxy,
    "theirs",
  ]);
  const added = pod.spec!.containers.find(({ name }) => name === "sidecar");
  assert.deepEqual(added?.securityContext?.capabilities, { drop: ["ALL"] });
});

/** Another's mutating webhook, called after ours, that puts an init container before ours and adds a container. */
async function otherWebhook(namespace: string): Promise<AsyncDisposable> {
  const { webhookAddress: hostname } = cluster;
  const port = freePort();
  const maker = await CertificateMaker.load();
  const time = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  const ca = await maker.authority(time);
  const { cert, key } = await maker.leaf(ca, { ...time, names: [hostname] });
  const server = Deno.serve({ hostname, port, cert, key, onListen: () => {} }, async (request) => {
    const review = await request.json();
    const has = review.request.object.spec.containers.some(({ name }: Container) => name === "sidecar");
    const patch = has ? [] : [
      { op: "add", path: "/spec/initContainers/0", value: { name: "theirs", image: "localhost/theirs:1" } },
      { op: "add", path: "/spec/containers/-", value: { name: "sidecar", image: "localhost/sidecar:1" } },
    ];
    const response = {
      uid: review.request.uid,
      allowed: true,
      patchType: "JSONPatch",
      patch: btoa(JSON.stringify(patch)),
    };
    return Response.json({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response });
  });
  const configuration = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name: "zz-other" },
    webhooks: [{
      name: "pods.other.example",
      clientConfig: { url: `https://${hostname}:${port}/`, caBundle: btoa(ca.cert) },
      rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
      admissionReviewVersions: ["v1"],
      sideEffects: "None",
    }],
  };
  const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
  await cluster.call(path, { body: configuration });
  // The API server notices a new configuration by watch.
  for (const end = performance.now() + 5_000; performance.now() < end;) {
    const pod = await create(await liqoPod(namespace, "probe"), { dryRun: true });
    if (pod.spec!.containers.some(({ name }) => name === "sidecar")) break;
  }
  return {
    async [Symbol.asyncDispose]() {
      await cluster.request(`${path}/zz-other`, { method: "DELETE" });
      await server.shutdown();
    },
  };
}

Deno.test("replicas of two versions accept each other's pods during a rollout, in both directions", async () => {
  const namespace = await offloaded("rollout");
  await settled(namespace);
  const before = await create(await liqoPod(namespace, "before"), { dryRun: true });
  const next = await dataSpacer.startReplica({ flags: ["--proxy-image=localhost/envoy:next"] });
  const old = dataSpacer.replicas.filter((replica) => replica !== next);
  await Promise.all(old.map((replica) => replica.stop()));
  const copy = async (pod: Pod, name: string) => ({
    ...pod,
    metadata: { ...(await liqoPod(namespace, name)).metadata },
  });
  const byNext = async () => {
    const answer = await create(await liqoPod(namespace, "next"), { dryRun: true, retryMs: 10_000 });
    return ours(answer)[1]!.image === "localhost/envoy:next" ? answer : undefined;
  };
  let after: Pod | undefined;
  for (const end = performance.now() + 5_000; after === undefined && performance.now() < end;) after = await byNext();
  assert.ok(after, "the new replica was never asked");
  assert.equal(ours(await create(await copy(before, "old-pod"), { dryRun: true }))[1]!.image, ours(before)[1]!.image);
  await next.stop();
  await dataSpacer.startReplica();
  let accepted: Pod | undefined;
  for (const end = performance.now() + 10_000; accepted === undefined && performance.now() < end;) {
    const answer = await liqo.createPod(await copy(after, "new-pod"), { dryRun: true });
    if (answer.created) accepted = answer.pod;
    else assert.match(answer.message, /no endpoints|not ready|failed calling/);
  }
  assert.equal(ours(accepted!)[1]!.image, "localhost/envoy:next");
});

Deno.test("without a replica pods are refused: nothing gets through unguarded", async () => {
  const namespace = await offloaded("alone");
  await settled(namespace);
  for (const replica of dataSpacer.replicas) await replica.kill();
  const answer = await liqo.createPod(await liqoPod(namespace, "one"));
  assert.equal(answer.created, false);
  await dataSpacer.startReplica();
  await create(await liqoPod(namespace, "two"));
});
