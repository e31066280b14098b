import assert from "node:assert/strict";
import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { Role } from "kubernetes-types/rbac/v1.d.ts";
import { parseAllDocuments } from "yaml";
import { type AuditEntry, startCluster } from "./cluster.ts";
import { type DataSpacer, startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { overlay } from "./overlay.ts";
import { until } from "./processes.ts";

const ACCOUNT = "system:serviceaccount:data-spacer:data-spacer";
const SECRET = "/api/v1/namespaces/data-spacer/secrets/data-spacer-ca";
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/data-spacer/leases/data-spacer";
const MERGE = { method: "PATCH", contentType: "application/merge-patch+json" };

const cluster = await startCluster({ audit: true });
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());

/** One verb on one kind that a role grants, in all namespaces where `namespace` is absent, for all names where `name` is. */
interface Right {
  namespace: string | undefined;
  verb: string;
  group: string;
  resource: string;
  name: string | undefined;
}

/** Every right that the manifests of a folder grant. */
async function granted(folder: string): Promise<Right[]> {
  const { stdout } = await cluster.kubectl(["kustomize", folder]);
  const roles = parseAllDocuments(stdout).map((document) => document.toJS() as Role)
    .filter(({ kind, metadata }) =>
      (kind === "Role" || kind === "ClusterRole") && metadata!.name !== "data-spacer-exception" // that one is for others
    );
  return roles.flatMap(({ metadata, rules = [] }) =>
    rules.flatMap(({ apiGroups = [], resources = [], resourceNames = [undefined], verbs }) =>
      verbs.map((verb) => ({
        namespace: metadata!.namespace,
        verb,
        group: apiGroups[0]!,
        resource: resources[0]!,
        name: resourceNames[0],
      }))
    )
  );
}

/** Whether a request made use of a right. An apply that creates needs two. */
function uses(entry: AuditEntry, right: Right): boolean {
  const { objectRef: on, responseStatus } = entry;
  if (on === undefined) return false;
  const created = entry.verb === "patch" && responseStatus?.code === 201;
  return (entry.verb === right.verb || (created && right.verb === "create")) &&
    (on.apiGroup ?? "") === right.group &&
    (on.subresource ? `${on.resource}/${on.subresource}` : on.resource) === right.resource &&
    (right.namespace === undefined || on.namespace === right.namespace) &&
    (right.name === undefined || on.name === right.name);
}

function ours(entries: AuditEntry[]): AuditEntry[] {
  return entries.filter(({ user }) => user.username === ACCOUNT);
}

function assertNoneRefused(entries: AuditEntry[]): void {
  const refused = entries.filter(({ responseStatus }) => responseStatus?.code === 403);
  assert.deepEqual(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`), [], "requests without a right");
}

/** Waits until our ServiceAccount has made such a request. */
function seen(verb: string, resource: string, name?: string): Promise<true> {
  return until(async () => {
    const entries = ours(await cluster.audit());
    assertNoneRefused(entries);
    const found = entries.some((e) =>
      e.verb === verb && e.objectRef?.resource === resource && (name === undefined || e.objectRef.name === name)
    );
    return found || undefined;
  }, { ms: 15_000, what: `${verb} ${resource} ${name ?? ""}`, every: 100 });
}

/** Labels the namespace `trial-pharma`; null takes a label off. */
async function label(labels: Record<string, string | null>): Promise<void> {
  await cluster.call("/api/v1/namespaces/trial-pharma", { ...MERGE, body: { metadata: { labels } } });
}

/** Pods that nothing has injected, since there is no webhook yet. */
async function uninjectedPods(liqo: Liqo): Promise<void> {
  const controlled = await liqoPod("trial-pharma", "controlled");
  controlled.metadata!.labels = { ...controlled.metadata!.labels, "pod-template-hash": "abc" };
  const bare = await liqoPod("trial-pharma", "bare");
  bare.metadata!.labels = Object.fromEntries(
    Object.entries(bare.metadata!.labels ?? {}).filter(([key]) => !key.endsWith("-hash")),
  );
  for (const pod of [controlled, bare]) assert.ok((await liqo.createPod(pod)).created);
}

/** Stops the replica that leads; the other one takes over and reports what it finds. */
async function changeLeader(dataSpacer: DataSpacer): Promise<void> {
  const holder = (await cluster.call<Lease>(LEASE)).spec!.holderIdentity!;
  await dataSpacer.replicas.find(({ name }) => holder.startsWith(`${name}_`))!.stop();
}

/** Makes objects of our names at the moment in which their namespace appears, until some are there before ours and unseen. */
async function race(): Promise<void> {
  for (let i = 0; i < 60; i++) {
    const namespace = `race-${i}`;
    const metadata = { name: namespace, labels: { "liqo.io/remote-cluster-id": "pharma" } };
    await cluster.call("/api/v1/namespaces", { body: { metadata } });
    await Promise.all([
      cluster.request(`/api/v1/namespaces/${namespace}/configmaps`, {
        body: { metadata: { name: "data-space-envoy-config" }, data: { foreign: "yes" } },
      }),
      cluster.request(`/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`, {
        body: { metadata: { name: "data-space-network-policy" }, spec: { podSelector: {} } },
      }),
    ]);
    if (i % 10 < 9) continue;
    const gets = ours(await cluster.audit()).filter(({ verb }) => verb === "get").map((e) => e.objectRef?.name);
    if (gets.includes("data-space-envoy-config") && gets.includes("data-space-network-policy")) return;
  }
}

Deno.test("every right that is granted is used, and none is missing", async () => {
  const liqo = await Liqo.install(cluster);
  await liqo.createTenantNamespace();
  await liqo.createOffloadedNamespace();
  await uninjectedPods(liqo);

  const folder = await overlay(
    cluster,
    "resources: [../deploy/base]\ncomponents: [../deploy/components/recreate-uninjected-all]\n",
  );
  await using dataSpacer = await startDataSpacer(cluster, { manifests: folder, replicas: 2 });
  await until(async () => {
    const { items } = await cluster.call<{ items: Pod[] }>("/api/v1/namespaces/trial-pharma/pods");
    return items.length === 0 || undefined;
  }, { ms: 20_000, what: "end of the pods without the proxy", every: 100 });

  // What we keep is tampered with, opted out of and wanted again.
  const objects = ["/api/v1/namespaces/trial-pharma/configmaps/data-space-envoy-config"].concat(
    "/apis/networking.k8s.io/v1/namespaces/trial-pharma/networkpolicies/data-space-network-policy",
  );
  for (const path of objects) {
    await cluster.call(path, { ...MERGE, body: { metadata: { annotations: { "example.com/foreign": "yes" } } } });
  }
  await seen("update", "configmaps", "data-space-envoy-config");
  await seen("update", "networkpolicies");
  await label({ "data-space/apply-netpol": "false", "data-space/apply-webhook": "false" });
  await seen("delete", "configmaps");
  await seen("delete", "networkpolicies");
  await label({ "data-space/apply-netpol": null, "data-space/apply-webhook": null, "data-space/pod-profile": "wrong" });
  await seen("create", "events");
  await race();

  // The authority is spoiled, then deleted under two replicas: one is quicker, and the other one reads.
  await cluster.call(SECRET, { ...MERGE, body: { data: null } });
  await seen("update", "secrets");
  for (let i = 0; i < 5; i++) {
    await cluster.call(SECRET, { method: "DELETE" });
    await until(async () => (await cluster.request(SECRET)).status === 200 || undefined, {
      ms: 15_000,
      what: "Secret",
    });
    if (
      ours(await cluster.audit()).some(({ verb, objectRef }) => verb === "get" && objectRef?.resource === "secrets")
    ) break;
  }

  // Another version of what is injected comes; another leader finds what the first one reported.
  await dataSpacer.startReplica({ flags: ["--proxy-resources=cpu=300m,memory=192Mi"] });
  await changeLeader(dataSpacer);
  await seen("patch", "events");

  const entries = ours(await cluster.audit());
  assertNoneRefused(entries);
  const unused = (await granted(folder)).filter((right) => !entries.some((entry) => uses(entry, right)));
  assert.deepEqual(unused, []);
});
