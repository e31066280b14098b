import type { SelfSubjectReview } from "kubernetes-types/authentication/v1.d.ts";
import type { ResourceAttributes } from "kubernetes-types/authorization/v1.d.ts";
import { resources } from "../../kube/resources.ts";
import { type Check, type CheckDeps, fail, ok } from "./check.ts";
import { inParallel } from "./in_parallel.ts";
import { groups } from "./names.ts";
import { type Permission, permissionsFor } from "./permissions.ts";
import { reapply } from "./remedies.ts";

/** Whether our ServiceAccount has every right that it needs, by the API server's own judgement. */
export const access: Check = {
  id: "permissions",
  title: "rights of our ServiceAccount",
  where: "installed",
  async *run(deps) {
    const { survey, settings: { namespace } } = deps;
    const account = await survey.serviceAccount();
    const user = `system:serviceaccount:${namespace}:${account}`;
    const wanted = permissionsFor(await survey.settings()).flatMap((p) =>
      p.verbs.map((verb) => ({ permission: p, verb }))
    );
    const self = await userName(deps) === user;
    const granted = await inParallel(wanted, async ({ permission, verb }) => {
      const attributes = attributesOf(permission, verb, namespace);
      return await (self ? mayI(deps, attributes) : mayTheAccount(deps, { user, namespace, attributes }));
    });
    const missing = wanted.filter((_, i) => !granted[i]);
    if (missing.length === 0) {
      yield ok(`ServiceAccount "${namespace}/${account}" has the ${wanted.length} rights that it needs`);
    }
    for (const [what, all] of groups(missing, ({ permission }) => describe(permission, namespace))) {
      const verbs = all.map(({ verb }) => verb).join(", ");
      yield fail(`ServiceAccount "${namespace}/${account}" may not ${verbs} ${what}`, reapply);
    }
  },
};

async function userName({ client }: CheckDeps): Promise<string | undefined> {
  const review = await client.create(resources.SelfSubjectReview, {} as SelfSubjectReview);
  return review.status?.userInfo?.username;
}

async function mayI({ client }: CheckDeps, resourceAttributes: ResourceAttributes): Promise<boolean> {
  const { status } = await client.create(resources.SelfSubjectAccessReview, { spec: { resourceAttributes } });
  return status?.allowed ?? false;
}

async function mayTheAccount(
  { client }: CheckDeps,
  { user, namespace, attributes }: { user: string; namespace: string; attributes: ResourceAttributes },
): Promise<boolean> {
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
  const spec = { user, groups, resourceAttributes: attributes };
  return (await client.create(resources.SubjectAccessReview, { spec })).status?.allowed ?? false;
}

function attributesOf(permission: Permission, verb: string, ownNamespace: string): ResourceAttributes {
  const { apiGroup, name, scope } = permission;
  const [resource, subresource] = permission.resource.split("/");
  return {
    verb,
    group: apiGroup,
    resource: resource!,
    ...(subresource === undefined ? {} : { subresource }),
    ...(name === undefined ? {} : { name }),
    ...(scope === "all" ? {} : { namespace: scope === "own" ? ownNamespace : scope }),
  };
}

function describe({ apiGroup, resource, name, scope }: Permission, ownNamespace: string): string {
  const what = `${resource}${apiGroup === "" ? "" : `.${apiGroup}`}${name === undefined ? "" : ` "${name}"`}`;
  if (scope === "all") return what;
  return `${what} in namespace "${scope === "own" ? ownNamespace : scope}"`;
}
