import assert from "node:assert/strict";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { injectedNames } from "../../lib/core/names.ts";
import { CertificateMaker } from "../../lib/webhook/x509.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { liqoPod } from "./liqo.ts";
import { freePort } from "./network.ts";
import { oursIn, PodTrials } from "./pod_trials.ts";

// What the API server's own plugins and others' webhooks do to our containers, before and after us. AlwaysPullImages changes them before the
// webhook sees them again.

const cluster = await startCluster({ admissionPlugins: ["AlwaysPullImages"] });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const pods = await PodTrials.create(cluster);
await startDataSpacer(cluster);

Deno.test("ResourceQuota and LimitRange count the proxy in, and a Guaranteed pod stays Guaranteed", async () => {
  const namespace = await pods.settled("quota");
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
  const pod = await pods.admitted(before);
  const [, proxy] = oursIn(pod);
  assert.equal(proxy!.resources!.limits!["ephemeral-storage"], "1Gi", "the LimitRange did not change our container");
  assert.equal((pod.status as { qosClass?: string }).qosClass, "Guaranteed");
});

Deno.test("pod-level resources are raised by what the proxy takes", async () => {
  const namespace = await pods.offloaded("pod-level");
  const before = await liqoPod(namespace, "one");
  (before.spec as { resources?: unknown }).resources = {
    requests: { cpu: "500m", memory: "256Mi" },
    limits: { cpu: "1", memory: "512Mi" },
  };
  const pod = await pods.admitted(before);
  const [, proxy] = oursIn(pod);
  assert.deepEqual(proxy!.resources!.requests, { cpu: "200m", memory: "192Mi" });
  assert.deepEqual((pod.spec as { resources?: unknown }).resources, {
    requests: { cpu: "700m", memory: "448Mi" },
    limits: { cpu: "1200m", memory: "704Mi" },
  });
});

/** Where containers have a token mounted, by name. */
function withToken(pod: Pod): string[] {
  return [...pod.spec!.initContainers ?? [], ...pod.spec!.containers].filter(({ volumeMounts = [] }) =>
    volumeMounts.some(({ mountPath }) => mountPath === "/var/run/secrets/kubernetes.io/serviceaccount")
  ).map(({ name }) => name);
}

/** Liqo's pod without the token of the consumer's that Liqo mounts. */
async function withoutLiqosToken(namespace: string, name: string): Promise<Pod> {
  const pod = await liqoPod(namespace, name);
  pod.spec!.volumes = [];
  pod.spec!.containers[0]!.volumeMounts = [];
  delete pod.spec!.automountServiceAccountToken;
  return pod;
}

Deno.test("a pod that says nothing of a token gets none, in our containers neither; AlwaysPullImages is tolerated", async () => {
  const namespace = await pods.offloaded("token");
  const pod = await pods.admitted(await withoutLiqosToken(namespace, "one"));
  assert.deepEqual(withToken(pod), []);
  for (const container of [...oursIn(pod), ...pod.spec!.containers]) assert.equal(container.imagePullPolicy, "Always");
});

Deno.test("a token that the API server mounts into containers that are ours already is taken off again", async () => {
  const namespace = await pods.settled("token-again");
  for (const make of [withoutLiqosToken, liqoPod]) {
    const { spec } = await pods.admitted(await make(namespace, "first"), { dryRun: true });
    const before = withToken({ spec: spec! });
    delete spec!.automountServiceAccountToken;
    const pod = await pods.admitted({ ...await liqoPod(namespace, make.name.toLowerCase()), spec: spec! });
    assert.deepEqual(withToken(pod), before);
    assert.equal(pod.spec!.automountServiceAccountToken, false);
    oursIn(pod);
  }
});

Deno.test("a webhook that adds containers after us does not harm, and what it adds is judged", async () => {
  const namespace = await pods.settled("meddled");
  await using _other = await otherWebhook(namespace);
  const pod = await pods.admitted(await liqoPod(namespace, "one"), { dryRun: true });
  oursIn(pod);
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
    const pod = await pods.admitted(await liqoPod(namespace, "probe"), { dryRun: true });
    if (pod.spec!.containers.some(({ name }) => name === "sidecar")) break;
  }
  return {
    async [Symbol.asyncDispose]() {
      await cluster.request(`${path}/zz-other`, { method: "DELETE" });
      await server.shutdown();
    },
  };
}
