import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { labels } from "../../lib/core/names.ts";
import { injectedNames } from "../../lib/core/names.ts";
import { patchPod } from "../../lib/core/pod_patch.ts";
import { injected, refusal, testContainer, testInjection, testPod } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";

Deno.test("patchPod() labels the pod whatever metadata it has", async (t) => {
  for (
    const metadata of [undefined, null, {}, { labels: null }, { labels: {} }, {
      labels: { "data-space/netpol-allow": "no" },
    }]
  ) {
    await t.step(JSON.stringify(metadata) ?? "undefined", () => {
      const { metadata: _, ...pod } = testPod();
      const after = injected((metadata === undefined ? pod : { ...pod, metadata }) as Pod);
      assert.equal(after.metadata?.labels?.[labels.netpolAllow], "true");
    });
  }
});

Deno.test("patchPod() treats null as absent everywhere", () => {
  const pod = testPod({
    initContainers: null,
    ephemeralContainers: null,
    volumes: null,
    securityContext: null,
    resources: null,
    automountServiceAccountToken: null,
    imagePullSecrets: null,
    hostNetwork: null,
    dnsPolicy: null,
    dnsConfig: null,
  }, {
    securityContext: { runAsUser: null, capabilities: null, seccompProfile: null, privileged: null },
    volumeMounts: null,
    ports: null,
    env: null,
    resources: null,
    livenessProbe: null,
    lifecycle: null,
  });
  const after = injected(pod, testPolicy(), testInjection({ imagePullSecret: "registry" }));
  assert.equal(after.spec?.containers[0]?.securityContext?.runAsUser, 10_001);
  assert.deepEqual(after.spec?.initContainers?.map(({ name }) => name), [injectedNames.init, injectedNames.proxy]);
});

Deno.test("patchPod() keeps fields that it does not know, at every depth", () => {
  const future = { futureField: [{ deep: { er: null } }, "ü", 1.5] };
  const pod = {
    ...testPod({ ...future, securityContext: { ...future }, volumes: [{ name: "v", emptyDir: { ...future } }] }, {
      ...future,
      ports: [{ containerPort: 1, ...future }],
    }),
    ...future,
    status: { phase: "Pending", ...future },
  } as Pod;
  const after = injected(pod) as Pod & typeof future;
  for (const holder of [after, after.status, after.spec, after.spec?.securityContext, after.spec?.containers[0]]) {
    assert.deepEqual((holder as typeof future).futureField, future.futureField);
  }
  assert.deepEqual(after.spec?.containers[0]?.ports, pod.spec?.containers[0]?.ports);
  assert.deepEqual(after.spec?.volumes?.[0], pod.spec?.volumes?.[0]);
});

Deno.test("patchPod() handles keys that JavaScript gives a meaning", () => {
  const pod = JSON.parse(`{
    "metadata": {"labels": {"__proto__": "a", "constructor": "b"}, "annotations": {"__proto__": "c"}},
    "__proto__": {"spec": {"hostNetwork": true}},
    "spec": {
      "__proto__": {"hostNetwork": true},
      "resources": {"limits": {"__proto__": "1", "cpu": "1"}},
      "containers": [{"name": "__proto__", "__proto__": {"name": "x"}, "securityContext": {"__proto__": {"privileged": true}}}]
    }
  }`) as Pod;
  const text = JSON.stringify(pod);
  const result = patchPod(pod, testPolicy({ extendedResources: ["__proto__"] }), testInjection());
  assert.equal(JSON.stringify(pod), text);
  assert.equal(result.kind, "patched");
  if (result.kind === "patched") {
    assert.equal(result.pod.spec?.containers[0]?.securityContext?.runAsUser, 10_001);
    assert.ok(Object.hasOwn(result.pod.metadata!.labels!, "__proto__"));
  }
  assert.equal(({} as { hostNetwork?: boolean }).hostNetwork, undefined);
});

Deno.test("patchPod() refuses more containers than it can judge in time, and judges that many", async (t) => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => testContainer({ name: `c${i}` }));
  const resources = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a.b/c${i}`, "1"]));
  await t.step(
    "at the limit",
    () => assert.equal(injected(testPod({ containers: many(200) })).spec?.containers.length, 200),
  );
  for (const field of ["containers", "initContainers", "ephemeralContainers"]) {
    await t.step(`beyond it, ${field}`, () => {
      assert.deepEqual(refusal(testPod({ [field]: many(201) })), [`spec.${field}: must be at most 200 containers`]);
    });
  }
  for (
    const [name, pod] of Object.entries({
      "groups": testPod({ securityContext: { supplementalGroups: Array.from({ length: 300_000 }, (_, i) => i) } }),
      "ports": testPod({}, { ports: Array.from({ length: 5_001 }, () => ({ containerPort: 80 })) }),
      "volumes": testPod({ volumes: Array.from({ length: 5_001 }, (_, i) => ({ name: `v${i}`, emptyDir: {} })) }),
      "sources": testPod({ volumes: [{ name: "v", projected: { sources: Array(5_001).fill({}) } }] }),
      "resources": testPod({}, { resources: { limits: resources(5_001) } }),
      "resources of the pod": testPod({ resources: { requests: resources(5_001) } }),
    })
  ) {
    await t.step(`huge lists of ${name}`, () => assert.match(refusal(pod).join(), /^spec: must be smaller: /));
  }
  await t.step("more violations than a call takes arguments", () => {
    const valueFrom = { fileKeyRef: { volumeName: "data-space-run", path: "a", key: "A" } };
    const pod = testPod({}, { env: Array(130_000).fill({ name: "A", valueFrom }) });
    const result = patchPod(pod, testPolicy(), testInjection());
    assert.equal(result.kind === "refused" && result.violations.length, 130_000);
  });
  await t.step("many groups", () => {
    const pod = testPod({
      securityContext: { supplementalGroups: Array.from({ length: 4_000 }, (_, i) => 30_000 + i) },
    });
    assert.equal(injected(pod).spec?.initContainers?.[1]?.securityContext?.runAsUser, 21337);
  });
});
