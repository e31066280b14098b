import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { isInjected, pathOf, tenantContainers } from "../../lib/core/tenant_containers.ts";
import { injected, testContainer, testPod } from "../support/pods.ts";

const ours = injected(testPod()).spec!.initContainers!;
const other = testContainer({ name: "other" });

Deno.test("isInjected() is true where our two containers are first, and in order", async (t) => {
  const table: [string, Pod, boolean][] = [
    ["both", testPod({ initContainers: [...ours, other] }), true],
    ["none", testPod(), false],
    ["the first only", testPod({ initContainers: [ours[0], other] }), false],
    ["the second only", testPod({ initContainers: [other, ours[1]] }), false],
    ["behind another", testPod({ initContainers: [other, ...ours] }), false],
    ["the wrong way round", testPod({ initContainers: ours.toReversed() }), false],
    ["among the containers", testPod({ containers: ours }), false],
    ["no spec", {}, false],
  ];
  for (const [name, pod, expected] of table) await t.step(name, () => assert.equal(isInjected(pod), expected));
});

Deno.test("tenantContainers() are all but ours, with the place that the consumer knows", () => {
  const pod = testPod({ initContainers: [other], ephemeralContainers: [other] });
  const paths = ["spec.initContainers[0]", "spec.containers[0]", "spec.ephemeralContainers[0]"];
  assert.deepEqual(tenantContainers(pod).map(pathOf), paths);
  const withOurs = testPod({ initContainers: [...ours, other], ephemeralContainers: [other] });
  assert.deepEqual(tenantContainers(withOurs).map(pathOf), paths);
  assert.deepEqual(tenantContainers(withOurs).map(({ index }) => index), [2, 0, 0]);
});

Deno.test("tenantContainers() counts what has our name in another place", () => {
  assert.equal(tenantContainers(testPod({ initContainers: [...ours, ...ours] })).length, 3);
  assert.equal(tenantContainers(testPod({ initContainers: [ours[0], other], containers: [ours[1]] })).length, 3);
});
