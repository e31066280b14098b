import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { assertPodGuarded } from "./guarded.ts";
import { attempts } from "./hostile_pods.ts";
import { consumer, Liqo, liqoPod } from "./liqo.ts";

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
  for (const pod of items) assertPodGuarded(pod, OURS);
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
  assert.throws(() => assertPodGuarded(answer.pod, OURS));
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
        if (status === 201) assertPodGuarded(JSON.parse(text), OURS);
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
    assertPodGuarded(JSON.parse(text), OURS);
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
    assertPodGuarded(JSON.parse(text), OURS);
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

Deno.test("no field of a pod gets around the proxy", async (t) => {
  for (const [i, [name, change, harmless]] of attempts(OURS).entries()) {
    await t.step(name, async () => {
      const pod = await liqoPod(NAMESPACE, `attempt-${i}`) as Parameters<typeof change>[0];
      change(pod);
      const answer = await liqo.createPod(pod);
      if (harmless) {
        assert.ok(answer.created, answer.created ? "" : answer.message);
        assertPodGuarded(answer.pod, OURS);
      } else assert.equal(answer.created, false, "the pod was created");
      if (!answer.created) {
        assert.doesNotMatch(answer.message, /\.ts:|\/lib\/|data-spacer-ca|at [A-Z]\w+\./);
        assert.doesNotMatch(answer.message, /failed calling webhook/);
      }
    });
  }
  assert.equal(await dataSpacer.replica.metric("data_spacer_admissions_total", { reason: "internal" }), 0);
  await assertGuarded();
});
