import type {
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "kubernetes-types/admissionregistration/v1.d.ts";
import { exception, policies as names } from "../../core/names.ts";
import { resources } from "../../kube/resources.ts";
import { type Check, type CheckDeps, fail, type Finding, ok } from "./check.ts";
import { reapply } from "./remedies.ts";
import { collect } from "./survey.ts";

/** Whether the API server refuses by itself what must not be, and to whom. */
export const policies: Check = {
  id: "policies",
  title: "admission policies",
  where: "installed",
  async *run(deps) {
    const { client } = deps;
    const present = await collect(client, resources.ValidatingAdmissionPolicy, {}, (policy) => policy);
    const bindings = await collect(client, resources.ValidatingAdmissionPolicyBinding, {}, (binding) => binding);
    const wrong = Object.values(names).flatMap((name) => {
      const state = fault(
        present.find(({ metadata }) => metadata?.name === name),
        bindings.filter(({ spec }) => spec?.policyName === name),
      );
      return state === undefined ? [] : [fail(`ValidatingAdmissionPolicy "${name}" ${state}`, reapply)];
    });
    yield* wrong;
    const count = Object.keys(names).length;
    if (wrong.length === 0) yield ok(`The ${count} ValidatingAdmissionPolicies are there and refuse what they should`);
    yield* excepted(deps);
  },
};

/** What keeps a policy from refusing. */
function fault(
  policy: ValidatingAdmissionPolicy | undefined,
  bindings: ValidatingAdmissionPolicyBinding[],
): string | undefined {
  if (policy === undefined) return "is not there";
  const { failurePolicy = "Fail", paramKind } = policy.spec ?? {};
  if (failurePolicy !== "Fail") return `lets pass what it cannot judge: failurePolicy must be "Fail"`;
  const binding = bindings.find(({ spec }) =>
    spec?.validationActions?.includes("Deny") && spec.matchResources?.namespaceSelector === undefined &&
    spec.matchResources?.objectSelector === undefined
  );
  if (binding === undefined) return "is bound by no ValidatingAdmissionPolicyBinding that denies everywhere";
  if (paramKind !== undefined && binding.spec?.paramRef?.parameterNotFoundAction !== "Deny") {
    return 'lets pass what it has nothing to compare with: its binding\'s parameterNotFoundAction must be "Deny"';
  }
  return undefined;
}

/** Who creates the pods of consumers, with Liqo in the namespace that it is installed in by default. */
const LIQO = { namespace: "liqo", name: "liqo-controller-manager" };

async function* excepted({ client }: CheckDeps): AsyncIterable<Finding> {
  const { apiGroup: group, resource, verb, role } = exception;
  const user = `system:serviceaccount:${LIQO.namespace}:${LIQO.name}`;
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${LIQO.namespace}`, "system:authenticated"];
  const { status } = await client.create(resources.SubjectAccessReview, {
    spec: { user, groups, resourceAttributes: { group, resource, verb } },
  });
  if (!status?.allowed) return;
  yield fail(
    `ServiceAccount "${LIQO.namespace}/${LIQO.name}" may ${verb} ${resource}.${group}: no policy holds for what Liqo does for consumers`,
    `take ClusterRole ${role}, or one with all rights, from it`,
  );
}
