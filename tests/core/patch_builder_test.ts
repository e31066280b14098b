import assert from "node:assert/strict";
import { PatchBuilder } from "../../lib/core/patch_builder.ts";
import { applyPatch, type Operation } from "../support/json_patch.ts";
import { testContainer, testPod } from "../support/pods.ts";

const operations = ({ ops }: PatchBuilder) => ops.map(({ json }) => JSON.parse(json) as Operation);

Deno.test("PatchBuilder.label() escapes the key as RFC 6901 says", () => {
  const pod = { ...testPod(), metadata: { labels: { a: "b" } } };
  const patch = new PatchBuilder(pod);
  patch.label("a~1/b~0", "x");
  assert.deepEqual(applyPatch(pod, operations(patch)).metadata.labels, { a: "b", "a~1/b~0": "x" });
});

Deno.test("PatchBuilder names places as the operations before have left them", () => {
  const mounts = ["a", "b", "c"].map((name) => ({ name, mountPath: `/${name}` }));
  const pod = testPod({
    initContainers: [testContainer({ name: "i", volumeMounts: mounts })],
    volumes: mounts.map(({ name }) => ({ name, emptyDir: {} })),
  });
  const patch = new PatchBuilder(pod);
  patch.removeVolume(1);
  patch.removeVolume(1);
  patch.removeMounts("initContainers", 0, ({ name }) => name !== "a");
  patch.setSecurity("initContainers", 0, { runAsUser: 1 });
  patch.setSecurity("initContainers", 0, { runAsGroup: 2 });
  assert.deepEqual(applyPatch(pod, operations(patch)), patch.pod);
  assert.deepEqual(patch.pod.spec?.volumes, [{ name: "a", emptyDir: {} }]);
  assert.deepEqual(patch.pod.spec?.initContainers?.[0]?.volumeMounts, [mounts[0]]);
  assert.deepEqual(patch.pod.spec?.initContainers?.[0]?.securityContext, { runAsUser: 1, runAsGroup: 2 });
});

Deno.test("PatchBuilder.setSecurity() takes one operation, and keeps what the container says", async (t) => {
  const table: [name: string, said: object | null | undefined, fields: object, path: string][] = [
    ["nothing", undefined, { runAsUser: 1, privileged: false }, "/spec/containers/0/securityContext"],
    ["null", null, { runAsUser: 1 }, "/spec/containers/0/securityContext"],
    ["something", { future: [{ a: null }] }, { runAsUser: 1 }, "/spec/containers/0/securityContext/runAsUser"],
    [
      "something, and more is missing",
      { future: [{ a: null }], runAsGroup: 5 },
      { runAsUser: 1, privileged: false },
      "/spec/containers/0/securityContext",
    ],
  ];
  for (const [name, said, fields, path] of table) {
    await t.step(name, () => {
      const pod = testPod({}, { securityContext: said });
      const patch = new PatchBuilder(pod);
      patch.setSecurity("containers", 0, fields);
      assert.deepEqual(operations(patch).map(({ path }) => path), [path]);
      assert.deepEqual(applyPatch(pod, operations(patch)), patch.pod);
      assert.deepEqual(patch.pod.spec?.containers[0]?.securityContext, { ...said, ...fields });
    });
  }
});

Deno.test("PatchBuilder leaves out what changes nothing", () => {
  const pod = { ...testPod({}, { env: [{ name: "A", value: "" }, { name: "B" }] }), metadata: { labels: { a: "b" } } };
  const patch = new PatchBuilder(pod);
  patch.label("a", "b");
  patch.setSecurity("containers", 0, {});
  patch.removeMounts("containers", 0, () => true);
  patch.append("volumes", []);
  patch.setEnv("containers", 0, { name: "A", value: "" });
  patch.setEnv("containers", 0, { name: "B", value: "" });
  patch.setEnv("containers", 0, { name: "none", value: "x" });
  patch.moveOursFirst();
  patch.raiseResources(testContainer({ resources: { limits: { cpu: "1" } } }));
  assert.deepEqual(patch.ops, []);
  assert.deepEqual(patch.pod, pod);
});
