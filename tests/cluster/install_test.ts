import assert from "node:assert/strict";
import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import type { Deployment, ReplicaSet } from "kubernetes-types/apps/v1.d.ts";
import { parseAllDocuments } from "yaml";
import { ROOT } from "../support/tree.ts";
import { startCluster } from "./cluster.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { overlay } from "./overlay.ts";
import { until } from "./processes.ts";

const BASE = `${ROOT}deploy/base`;
const WEBHOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/data-spacer";
const ACCOUNT = {
  as: "system:serviceaccount:data-spacer:data-spacer",
  asGroups: ["system:serviceaccounts", "system:serviceaccounts:data-spacer", "system:authenticated"],
};

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());

async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectl(args);
  assert.equal(code, 0, `kubectl ${args.join(" ")}: ${stderr}`);
  return stdout;
}

interface Stored {
  kind: string;
  metadata: { name: string; namespace?: string; resourceVersion: string };
}

/** What is stored of all that a folder holds: one line an object. */
async function stored(folder: string): Promise<string[]> {
  const { items } = JSON.parse(await kubectl("get", "-k", folder, "-o", "json")) as { items: Stored[] };
  return items.map(({ kind, metadata: m }) => `${kind} ${m.namespace ?? ""}/${m.name} ${m.resourceVersion}`);
}

Deno.test("kubectl apply -k installs on a bare cluster, and pods of the Deployment get past Pod Security", async () => {
  await kubectl("apply", "-k", BASE);
  await until(async () => {
    const list = await cluster.call<{ items: ReplicaSet[] }>("/apis/apps/v1/namespaces/data-spacer/replicasets");
    return list.items[0]?.status?.replicas === 2 ? true : undefined;
  }, { ms: 10_000, what: "pods of the Deployment" });
});

Deno.test("the same apply once more changes nothing, and a caBundle that was put in stays, however one applies", async () => {
  const patch = [{ op: "add", path: "/webhooks/0/clientConfig/caBundle", value: btoa(cluster.ca) }];
  await cluster.call(WEBHOOK, { method: "PATCH", contentType: "application/json-patch+json", body: patch });
  await until(async () => {
    const { status } = await cluster.call<Deployment>("/apis/apps/v1/namespaces/data-spacer/deployments/data-spacer");
    return status?.unavailableReplicas === 2 ? true : undefined;
  }, { ms: 10_000, what: "settled Deployment" });
  const before = await stored(BASE);
  await kubectl("apply", "-k", BASE);
  assert.deepEqual(await stored(BASE), before);

  await kubectl("apply", "--server-side", "--force-conflicts", "-k", BASE);
  const { webhooks } = await cluster.call<MutatingWebhookConfiguration>(WEBHOOK);
  assert.equal(webhooks![0]!.clientConfig.caBundle, btoa(cluster.ca));
});

Deno.test("the ServiceAccount has the rights that the program needs, by name where that can be, and no others", async (t) => {
  const rights: [allowed: boolean, verb: string, resource: string, where?: { namespace?: string; name?: string }][] = [
    [true, "list", "namespaces"],
    [false, "patch", "namespaces", { name: "trial" }],
    [true, "create", "configmaps", { namespace: "trial", name: "data-space-envoy-config" }],
    [true, "delete", "configmaps", { namespace: "trial", name: "data-space-envoy-config" }],
    [false, "create", "configmaps", { namespace: "trial", name: "other" }],
    [false, "get", "configmaps", { namespace: "trial", name: "other" }],
    [true, "watch", "configmaps", { name: "data-space-envoy-config" }],
    [false, "list", "configmaps"],
    [true, "update", "networkpolicies.networking.k8s.io", { namespace: "trial", name: "data-space-network-policy" }],
    [false, "update", "networkpolicies.networking.k8s.io", { namespace: "trial", name: "other" }],
    [true, "update", "secrets", { namespace: "data-spacer", name: "data-spacer-ca" }],
    [false, "get", "secrets", { namespace: "data-spacer", name: "other" }],
    [false, "get", "secrets", { namespace: "trial", name: "data-spacer-ca" }],
    [true, "create", "leases.coordination.k8s.io", { namespace: "data-spacer" }],
    [false, "create", "leases.coordination.k8s.io", { namespace: "kube-system" }],
    [true, "create", "events", { namespace: "default" }],
    [false, "create", "events", { namespace: "trial" }],
    [true, "list", "pods", { namespace: "trial" }],
    [false, "create", "pods/eviction", { namespace: "trial", name: "a" }],
    [false, "delete", "pods", { namespace: "trial", name: "a" }],
    [true, "patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", { name: "data-spacer" }],
    [false, "patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", { name: "other" }],
  ];
  for (const [allowed, verb, kind, where = {}] of rights) {
    await t.step(
      `${allowed ? "may" : "may not"} ${verb} ${kind} ${where.namespace ?? ""}/${where.name ?? ""}`,
      async () => {
        const [plural, ...group] = kind.split(".");
        const [resource, subresource] = plural!.split("/");
        const right = { verb, resource: resource!, group: group.join("."), ...(subresource ? { subresource } : {}) };
        assert.equal(await cluster.allows(ACCOUNT, { ...right, ...where }), allowed);
      },
    );
  }
});

Deno.test("a right to create by name suffices for an apply, and one to list by name for a list of that name", async () => {
  const apply = async (name: string) => {
    const path = `/api/v1/namespaces/default/configmaps/${name}?fieldManager=data-spacer&force=true&dryRun=All`;
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { key: "value" } };
    const contentType = "application/apply-patch+yaml";
    return (await cluster.request(path, { ...ACCOUNT, method: "PATCH", contentType, body })).status;
  };
  assert.equal(await apply("data-space-envoy-config"), 201);
  assert.equal(await apply("other"), 403);
  const list = async (query: string) => (await cluster.request(`/api/v1/configmaps${query}`, ACCOUNT)).status;
  assert.equal(await list("?fieldSelector=metadata.name%3Ddata-space-envoy-config"), 200);
  assert.equal(await list(""), 403);
});

Deno.test("one patch sets the images of all three roles, and a component brings a flag with its right", async () => {
  const folder = await overlay(
    cluster,
    `
resources: [../deploy/base]
components: [../deploy/components/recreate-uninjected-all]
patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: { name: data-spacer, namespace: data-spacer }
      spec:
        template:
          spec:
            containers:
              - name: data-spacer
                image: registry.example/data-spacer@sha256:${"1".repeat(64)}
                env:
                  - { name: INIT_IMAGE, value: "registry.example/init:1" }
                  - { name: PROXY_IMAGE, value: "registry.example/envoy:1" }
`,
  );
  await kubectl("apply", "-k", folder);
  const path = "/apis/apps/v1/namespaces/data-spacer/deployments/data-spacer";
  const { image, env } = (await cluster.call<Deployment>(path)).spec!.template.spec!.containers[0]!;
  assert.match(image!, /^registry\.example\/data-spacer@sha256:1+$/);
  const values = Object.fromEntries(env!.map(({ name, value }) => [name, value]));
  assert.equal(values.INIT_IMAGE, "registry.example/init:1");
  assert.equal(values.PROXY_IMAGE, "registry.example/envoy:1");
  assert.equal(values.RECREATE_UNINJECTED, "all");
  assert.ok(values.POD_NAMESPACE === undefined && "POD_NAMESPACE" in values); // by downward API still
  for (const right of [{ verb: "create", subresource: "eviction" }, { verb: "delete" }]) {
    assert.ok(await cluster.allows(ACCOUNT, { ...right, resource: "pods", namespace: "trial" }));
  }
});

Deno.test("the cert-manager overlay holds no right to Secrets or to the webhook configuration", async () => {
  const text = await kubectl("kustomize", `${ROOT}deploy/overlays/cert-manager`);
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Stored & { rules?: unknown });
  const kinds = objects.map(({ kind }) => kind);
  assert.deepEqual(kinds.filter((kind) => /^(Issuer|Certificate)$/.test(kind)).length, 4);
  assert.equal(kinds[0], "ValidatingAdmissionPolicy");
  assert.ok(kinds.includes("ClusterRole"));
  const rules = JSON.stringify(objects.flatMap(({ rules }) => rules ?? []));
  assert.doesNotMatch(rules, /secrets|mutatingwebhookconfigurations/);
});

Deno.test("kubectl delete -k removes all of it, what refuses first, and no pod is blocked afterwards", async () => {
  const liqo = await Liqo.install(cluster);
  await liqo.createTenantNamespace();
  await liqo.createOffloadedNamespace("trial-pharma");
  const refused = await liqo.createPod(await liqoPod("trial-pharma", "before"), { dryRun: true });
  assert.ok(!refused.created && refused.message.includes("pod-rules.data-spacer.provider"), JSON.stringify(refused));

  const deleted = await kubectl("delete", "-k", BASE);
  assert.match(
    deleted,
    /^(validatingadmission\S+ "\S+" deleted.*\n){16}mutatingwebhookconfiguration\S+ "data-spacer" deleted/,
  );
  // The API server looks for changed policies every second.
  const after = await liqo.createPod(await liqoPod("trial-pharma", "after"), { retryMs: 3_000 });
  assert.ok(after.created, JSON.stringify(after));

  const { items } = JSON.parse(await kubectl("get", "-k", BASE, "-o", "json", "--ignore-not-found") || '{"items":[]}');
  assert.deepEqual(items, []);
});
