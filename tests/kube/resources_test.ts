import assert from "node:assert/strict";
import { describe, pathOf, pathOfOne, resources } from "../../lib/kube/resources.ts";

const { ConfigMap, Lease, Namespace, NetworkPolicy, Pod, SubjectAccessReview } = resources;

Deno.test("pathOf() addresses objects, collections and subresources", () => {
  const cases: [string, string][] = [
    [pathOf(Namespace), "/api/v1/namespaces"],
    [pathOf(Namespace, { name: "a" }), "/api/v1/namespaces/a"],
    [pathOf(ConfigMap), "/api/v1/configmaps"],
    [pathOf(ConfigMap, { namespace: "a" }), "/api/v1/namespaces/a/configmaps"],
    [pathOf(Lease, { namespace: "a", name: "b" }), "/apis/coordination.k8s.io/v1/namespaces/a/leases/b"],
    [pathOf(NetworkPolicy, { namespace: "a" }), "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies"],
    [pathOf(Pod, { namespace: "a", name: "b", subresource: "eviction" }), "/api/v1/namespaces/a/pods/b/eviction"],
    [pathOf(SubjectAccessReview), "/apis/authorization.k8s.io/v1/subjectaccessreviews"],
    [pathOf(ConfigMap, { namespace: "a", name: "x/../y?z#" }), "/api/v1/namespaces/a/configmaps/x%2F..%2Fy%3Fz%23"],
  ];
  for (const [actual, expected] of cases) assert.equal(actual, expected);
});

Deno.test("pathOf() refuses what would lead to another path", async (t) => {
  const cases: [string, () => string][] = [
    ["an empty name", () => pathOf(Namespace, { name: "" })],
    ["an empty namespace", () => pathOf(Pod, { namespace: "", name: "a" })],
    ["..", () => pathOf(ConfigMap, { namespace: "..", name: "a" })],
    [".", () => pathOf(Namespace, { name: "." })],
    ["a missing namespace", () => pathOf(ConfigMap, { name: "a" })],
    ["a superfluous namespace", () => pathOf(Namespace, { namespace: "a", name: "b" })],
    ["a subresource of nothing", () => pathOf(Pod, { namespace: "a", subresource: "eviction" })],
    ["one object without a name", () => pathOfOne(Pod, { namespace: "a" })],
  ];
  for (const [name, run] of cases) await t.step(name, () => void assert.throws(run, TypeError));
});

Deno.test("describe() names objects as an operator would", () => {
  assert.equal(describe(ConfigMap, { namespace: "a", name: "b" }), 'ConfigMap "a/b"');
  assert.equal(describe(Namespace, { name: "b" }), 'Namespace "b"');
  assert.equal(describe(Pod, { namespace: "a", name: "b", subresource: "eviction" }), 'Pod/eviction "a/b"');
  assert.equal(describe(Pod, { namespace: "a" }), 'pods of "a"');
  assert.equal(describe(Pod), "pods of all namespaces");
  assert.equal(describe(Namespace), "namespaces");
});
