import assert from "node:assert/strict";
import type { ValidatingAdmissionPolicy } from "kubernetes-types/admissionregistration/v1.d.ts";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { consumer, LIQO, Liqo, liqoPod } from "./liqo.ts";
import { KINDS, Operator } from "./operator.ts";
import { ADMINISTRATOR, Doors, patch } from "./policies.ts";
import { until } from "./processes.ts";

const POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";

const cluster = await startCluster({ audit: true, controllers: ["validatingadmissionpolicy-status-controller"] });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
const doors = await Doors.create(cluster);
const operator = new Operator(cluster);
await liqo.createTenantNamespace();
const FLAGS = ["--lease-duration=3s"]; // a replica that is killed does not give its Lease back
const dataSpacer = await startDataSpacer(cluster, { flags: FLAGS });

/** An offloaded namespace with both of our objects, in which the policies are in force. */
async function offload(name: string): Promise<string> {
  await liqo.createOffloadedNamespace(name);
  await operator.holds(name, KINDS);
  await doors.inForce(name);
  return name;
}

async function gone(path: string): Promise<void> {
  await until(async () => (await cluster.request(path)).status === 404 || undefined, {
    ms: 20_000,
    what: `end of ${path}`,
  });
}

/** A pod that belongs to an object of the consumer's, as a pod of Liqo's belongs to its ShadowPod. Returns the owner's path. */
async function ownedPod(namespace: string): Promise<{ owner: string; pod: string }> {
  const configMaps = `/api/v1/namespaces/${namespace}/configmaps`;
  const owner = await cluster.call<ConfigMap>(configMaps, { ...consumer(), body: { metadata: { name: "owner" } } });
  const pod = await liqoPod(namespace, "owned");
  pod.metadata!.ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: owner.metadata!.uid! }];
  const answer = await liqo.createPod(pod, { retryMs: 10_000 });
  assert.ok(answer.created, JSON.stringify(answer));
  return { owner: `${configMaps}/owner`, pod: `/api/v1/namespaces/${namespace}/pods/owned` };
}

Deno.test("the API server finds no fault in the types of our policies", async () => {
  const { items } = await cluster.call<{ items: ValidatingAdmissionPolicy[] }>(POLICIES);
  assert.equal(items.length, 8);
  for (const { metadata } of items) {
    const status = await until(async () => {
      return (await cluster.call<ValidatingAdmissionPolicy>(`${POLICIES}/${metadata!.name}`)).status?.typeChecking;
    }, { ms: 20_000, what: `check of ${metadata!.name}` });
    assert.deepEqual(status, {}, metadata!.name);
  }
});

Deno.test("our own ServiceAccount repairs Envoy's configuration, makes it and removes it", async () => {
  const namespace = await offload("kept");
  const path = operator.path("ConfigMap", namespace);
  const before = (await operator.find("ConfigMap", namespace))!.data;
  await doors.passes(ADMINISTRATOR, patch(path, { data: { "lds.json": "{}", more: "x" } }));
  await until(async () => {
    return JSON.stringify((await operator.find("ConfigMap", namespace))?.data) === JSON.stringify(before) || undefined;
  }, { ms: 10_000, what: "repair" });
  await operator.label(namespace, { "data-space/apply-webhook": "false" });
  await operator.holds(namespace, ["NetworkPolicy"]);
  await operator.label(namespace, { "data-space/apply-webhook": null });
  await operator.holds(namespace, KINDS);
});

/** Runs something, with or without a replica of ours. */
async function withReplica(running: boolean, what: () => Promise<void>): Promise<void> {
  if (!running) await dataSpacer.replicas.at(-1)!.kill();
  await what();
  if (!running) await dataSpacer.startReplica({ flags: FLAGS });
}

for (const [running, state] of [[true, "running"], [false, "down"]] as const) {
  Deno.test(`with our replicas ${state} the garbage collector deletes a pod whose owner is gone`, async () => {
    const { owner, pod } = await ownedPod(await offload(`collected-${state}`));
    await withReplica(running, async () => {
      await operator.delete(owner, consumer());
      await gone(pod);
    });
  });

  Deno.test(`with our replicas ${state} the garbage collector may take Envoy's configuration`, async () => {
    const path = operator.path("ConfigMap", await offload(`orphaned-${state}`));
    const { uid } = (await operator.find("ConfigMap", `orphaned-${state}`))!.metadata;
    await withReplica(running, async () => {
      const owner = { apiVersion: "v1", kind: "ConfigMap", name: "nobody", uid };
      await doors.passes(ADMINISTRATOR, patch(path, { metadata: { ownerReferences: [owner] } }));
      await until(async () => {
        const found = await operator.find("ConfigMap", `orphaned-${state}`);
        return found?.metadata.ownerReferences === undefined || undefined;
      }, { ms: 20_000, what: "deletion or repair" });
    });
  });

  Deno.test(`with our replicas ${state} a namespace that Liqo deletes goes, with all that is in it`, async () => {
    const namespace = await offload(`ending-${state}`);
    await ownedPod(namespace);
    const service = { metadata: { name: "published" }, spec: { type: "NodePort", ports: [{ port: 80 }] } };
    await cluster.call(`/api/v1/namespaces/${namespace}/services`, { body: service });
    await withReplica(running, async () => {
      await operator.delete(`/api/v1/namespaces/${namespace}`, LIQO);
      await gone(`/api/v1/namespaces/${namespace}`);
    });
  });
}

Deno.test("the controllers of the cluster were never refused by us", async () => {
  const refused = (await cluster.audit()).filter(({ user, responseStatus }) =>
    /kube-controller-manager|kube-system:(namespace-controller|generic-garbage-collector)/.test(user.username) &&
    responseStatus?.code === 403
  );
  assert.deepEqual(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`), []);
});
