import assert from "node:assert/strict";
import type { ResourceAttributes } from "kubernetes-types/authorization/v1.d.ts";
import type { PolicyRule } from "kubernetes-types/rbac/v1.d.ts";
import { parseAllDocuments } from "yaml";
import { access } from "../../../lib/cli/check/access.ts";
import { type Permission, permissionsFor } from "../../../lib/cli/check/permissions.ts";
import { exception } from "../../../lib/core/names.ts";
import type { Settings } from "../../../lib/core/settings.ts";
import { testSettings } from "../../support/settings.ts";
import { filesOf, readFile } from "../../support/tree.ts";
import { brief, healthyCluster, type Loose } from "./fake_cluster.ts";

/** One right in one line. */
function line(
  scope: string,
  right: { group: string; resource: string; name?: string | undefined; verb: string },
): string {
  return `${scope}: ${right.verb} ${right.resource}.${right.group}/${right.name ?? "*"}`;
}

/** The rights that the roles in some folders of `deploy/` grant us. */
async function granted(...folders: string[]): Promise<string[]> {
  const files = (await filesOf("deploy")).filter((f) =>
    folders.includes(f.slice("deploy/".length, f.lastIndexOf("/")))
  );
  const texts = await Promise.all(files.filter((file) => file.endsWith(".yaml")).map(readFile));
  const objects = texts.flatMap((text) => parseAllDocuments(text).map((d) => d.toJS() as Loose));
  const roles = objects.filter(({ kind, metadata }) =>
    (kind === "Role" || kind === "ClusterRole") && metadata.name !== exception.role // that one is for others
  );
  return roles.flatMap(({ metadata, rules }) =>
    rules.flatMap(({ apiGroups = [], resources = [], resourceNames = [undefined], verbs }: Loose & PolicyRule) =>
      product(apiGroups, resources, resourceNames, verbs).map(([group, resource, name, verb]) =>
        line(metadata.namespace ?? "all", { group, resource, name, verb } as Loose)
      )
    )
  ).sort();
}

function product(...lists: unknown[][]): unknown[][] {
  return lists.reduce<unknown[][]>((all, list) => all.flatMap((done) => list.map((item) => [...done, item])), [[]]);
}

function wanted(settings: Partial<Settings>): string[] {
  const scope = ({ scope }: Permission) => scope === "own" ? "data-spacer" : scope;
  return permissionsFor(testSettings(settings)).flatMap((permission) =>
    permission.verbs.map((verb) => line(scope(permission), { group: permission.apiGroup, ...permission, verb }))
  ).sort();
}

Deno.test("the table of permissions is what the manifests grant", async (t) => {
  const evict = "components/recreate-uninjected";
  await t.step("base", async () => assert.deepEqual(wanted({}), await granted("base")));
  await t.step(
    "with eviction",
    async () => assert.deepEqual(wanted({ recreateUninjected: "controlled" }), await granted("base", evict)),
  );
  await t.step("with deletion", async () => {
    assert.deepEqual(wanted({ recreateUninjected: "all" }), await granted("base", evict, `${evict}-all`));
  });
  await t.step("with a mounted certificate", async () => {
    const without = (await granted("base")).filter((right) =>
      !/ (secrets|mutatingwebhookconfigurations)\./.test(right)
    );
    assert.deepEqual(wanted({ tlsCertFile: "c", tlsKeyFile: "k" }), without);
  });
});

Deno.test("check asks the API server about every right of our ServiceAccount", async () => {
  const cluster = await healthyCluster();
  const found = await cluster.run(access);
  const rights = wanted({});
  assert.deepEqual(brief(found), [
    `ok: ServiceAccount "data-spacer/data-spacer" has the ${rights.length} rights that it needs`,
  ]);
  const asked = cluster.reviews.map(({ attributes: { namespace = "all", group = "", ...rest } }) =>
    line(namespace, { group, ...rest } as Loose)
  );
  assert.deepEqual(asked.sort(), rights);
  assert.deepEqual(
    new Set(cluster.reviews.map(({ user }) => user)),
    new Set(["system:serviceaccount:data-spacer:data-spacer"]),
  );
});

Deno.test("check names the rights that are missing, those of an object together", async () => {
  const cluster = await healthyCluster();
  cluster.allows = ({ resource, verb, namespace }: ResourceAttributes) =>
    !(resource === "networkpolicies" && verb !== "get") && namespace !== "default";
  const found = await cluster.run(access);
  assert.deepEqual(brief(found), [
    'fail: ServiceAccount "data-spacer/data-spacer" may not list, watch, create, patch, update, delete networkpolicies.networking.k8s.io "data-space-network-policy"',
    'fail: ServiceAccount "data-spacer/data-spacer" may not get, create, patch events in namespace "default"',
  ]);
  assert.equal(found[0]!.remedy, "kubectl apply -k deploy/base (or your overlay)");
});

Deno.test("check asks for what the Deployment's flags need, of the ServiceAccount that it runs as", async () => {
  const cluster = await healthyCluster();
  cluster.change("Deployment", "data-spacer", ({ spec: { template: { spec } } }) => {
    spec.serviceAccountName = "other";
    spec.containers[0].env.push({ name: "TLS_CERT_FILE", value: "c" }, { name: "TLS_KEY_FILE", value: "k" });
    spec.containers[0].args = ["serve", "--recreate-uninjected"];
  });
  await cluster.run(access);
  const asked = cluster.reviews.map(({ attributes: { resource, subresource } }) =>
    subresource ? `${resource}/${subresource}` : resource
  );
  assert.ok(asked.includes("pods/eviction") && !asked.includes("secrets"));
  assert.equal(cluster.reviews[0]!.user, "system:serviceaccount:data-spacer:other");
});

Deno.test("check in the pod asks about itself, which everybody may", async () => {
  const cluster = await healthyCluster();
  cluster.user = "system:serviceaccount:data-spacer:data-spacer";
  cluster.forbidden = new Set(["create subjectaccessreviews", "get deployments"]);
  assert.match(brief(await cluster.run(access)).join("\n"), /^ok: /);
  assert.ok(cluster.reviews.every(({ user }) => user === undefined));
});
