import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { asPod } from "../../lib/core/pod_shape.ts";
import { liqoPod, testPod } from "../support/pods.ts";

Deno.test("asPod() takes a pod as it is", async () => {
  for (const pod of [await liqoPod(), testPod(), testPod({ futureField: [1] }), testPod({ containers: [] })]) {
    assert.equal(asPod(pod), pod);
  }
});

Deno.test("asPod() names the first field of the wrong type, and what would be right", async (t) => {
  const table: [string, unknown, string][] = [
    ["no pod", undefined, "must be an object"],
    ["a list", [], "must be an object"],
    ["no spec", {}, "spec is missing"],
    ["a null spec", { spec: null }, "spec is missing"],
    ["containers by name", { spec: { containers: {} } }, "spec.containers must be a list"],
    ["a null container", testPod({ containers: [null] }), "spec.containers[0] must be an object"],
    ["a container without a name", { spec: { containers: [{ image: "x" }] } }, "spec.containers[0].name is missing"],
    ["a name that is no text", testPod({}, { name: 5 }), "spec.containers[0].name must be a string"],
    [
      "an inherited name",
      { spec: { containers: [Object.create({ name: "x" })] } },
      "spec.containers[0].name is missing",
    ],
    ["an init container", testPod({ initContainers: ["x"] }), "spec.initContainers[0] must be an object"],
    ["a volume without a name", testPod({ volumes: [{}] }), "spec.volumes[0].name is missing"],
    ["labels", { ...testPod(), metadata: { labels: { a: 1 } } }, "metadata.labels[a] must be a string"],
    ["annotations", { ...testPod(), metadata: { annotations: [] } }, "metadata.annotations must be an object"],
    ["a user", testPod({ securityContext: { runAsUser: "0" } }), "spec.securityContext.runAsUser must be a number"],
    [
      "groups",
      testPod({ securityContext: { supplementalGroups: [1, "2"] } }),
      "spec.securityContext.supplementalGroups[1] must be a number",
    ],
    [
      "capabilities",
      testPod({}, { securityContext: { capabilities: { drop: "ALL" } } }),
      "spec.containers[0].securityContext.capabilities.drop must be a list",
    ],
    [
      "a quantity",
      testPod({}, { resources: { limits: { cpu: {} } } }),
      "spec.containers[0].resources.limits[cpu] must be a quantity",
    ],
    [
      "a probe's port",
      testPod({}, { livenessProbe: { httpGet: { port: {} } } }),
      "spec.containers[0].livenessProbe.httpGet.port must be a number or a name",
    ],
  ];
  for (const [name, value, problem] of table) {
    await t.step(name, () => {
      assert.throws(() => asPod(value), { name: "TypeError", message: `Cannot read pod: ${problem}` });
    });
  }
});

Deno.test("asPod() takes null for absent", () => {
  const pod: unknown = { ...testPod({ volumes: null, securityContext: null }, { ports: null }), metadata: null };
  assert.equal(asPod(pod), pod as Pod);
});

Deno.test("asPod() takes a pod without containers, which the API server refuses by words of its own", () => {
  for (const pod of [testPod({ containers: null }), { spec: {} }]) assert.equal(asPod(pod), pod as unknown as Pod);
});
