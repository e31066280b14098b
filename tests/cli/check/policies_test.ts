import assert from "node:assert/strict";
import { policies } from "../../../lib/cli/check/policies.ts";
import { exception } from "../../../lib/core/names.ts";
import { brief, type FakeCluster, healthyCluster, type Loose } from "./fake_cluster.ts";

const NAME = "pod-creation.data-spacer.provider";

Deno.test("check finds what keeps an admission policy from refusing; the manifests are as they should be", async (t) => {
  const policy = (change: (spec: Loose) => void) => (cluster: FakeCluster) =>
    cluster.change("ValidatingAdmissionPolicy", NAME, ({ spec }) => change(spec));
  const binding = (change: (spec: Loose) => void) => (cluster: FakeCluster) =>
    cluster.change("ValidatingAdmissionPolicyBinding", NAME, ({ spec }) => change(spec));
  const table: [name: string, change: (cluster: FakeCluster) => void, ...expected: RegExp[]][] = [
    ["as applied", () => {}, /^ok: The 8 ValidatingAdmissionPolicies are there and refuse what they should$/],
    ["the API server's default", policy((spec) => delete spec.failurePolicy), /^ok: /],
    [
      "a policy less",
      (cluster) => cluster.drop("ValidatingAdmissionPolicy", NAME),
      /^fail: ValidatingAdmissionPolicy "pod-creation\.data-spacer\.provider" is not there$/,
    ],
    ["an error is a yes", policy((spec) => spec.failurePolicy = "Ignore"), /^fail: .*: failurePolicy must be "Fail"$/],
    [
      "no binding",
      (cluster) => cluster.drop("ValidatingAdmissionPolicyBinding", NAME),
      /^fail: .* is bound by no ValidatingAdmissionPolicyBinding that denies everywhere$/,
    ],
    ["a warning only", binding((spec) => spec.validationActions = ["Warn"]), /^fail: .* is bound by no/],
    [
      "some namespaces only",
      binding((spec) => spec.matchResources = { namespaceSelector: { matchLabels: { a: "b" } } }),
      /^fail: .* is bound by no/,
    ],
    [
      "nothing to compare with is a yes",
      binding((spec) => spec.paramRef.parameterNotFoundAction = "Allow"),
      /^fail: .*: its binding's parameterNotFoundAction must be "Deny"$/,
    ],
    [
      "Liqo is excepted",
      (cluster) => cluster.allows = ({ resource, group }) => resource === "exceptions" && group === exception.apiGroup,
      /^ok: /,
      /^fail: ServiceAccount "liqo\/liqo-controller-manager" may use exceptions\.data-spacer\.provider: no policy holds/,
    ],
  ];
  for (const [name, change, ...expected] of table) {
    await t.step(name, async () => {
      const cluster = await healthyCluster();
      change(cluster);
      const found = brief(await cluster.run(policies));
      assert.equal(found.length, expected.length, found.join("\n"));
      found.forEach((text, i) => assert.match(text, expected[i]!));
    });
  }
});
