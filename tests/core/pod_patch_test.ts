import assert from "node:assert/strict";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { injectedNames, labels } from "../../lib/core/names.ts";
import { injected, liqoPod, patch, refusal, testContainer, testInjection, testPod } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";

const { init, proxy, configVolume, runVolume } = injectedNames;
const names = (list: readonly { name: string }[] | undefined) => (list ?? []).map(({ name }) => name);
const env = (container: Container | undefined, name: string) => container?.env?.find((e) => e.name === name)?.value;

Deno.test("patchPod() puts our containers first and our volumes last, and keeps the consumer's order", () => {
  const pod = injected(testPod({
    initContainers: [testContainer({ name: "migrate" }), testContainer({ name: "cache", restartPolicy: "Always" })],
    containers: [testContainer({ name: "b" }), testContainer({ name: "a" })],
    volumes: [{ name: "tmp", emptyDir: {} }],
  }));
  assert.deepEqual(names(pod.spec?.initContainers), [init, proxy, "migrate", "cache"]);
  assert.deepEqual(names(pod.spec?.containers), ["b", "a"]);
  assert.deepEqual(names(pod.spec?.volumes), ["tmp", configVolume, runVolume]);
  assert.equal(pod.metadata?.labels?.[labels.netpolAllow], "true");
});

Deno.test("patchPod() tells the proxy whose pod it is in, and what its probes are", async (t) => {
  const probe = { httpGet: { path: "/ok", port: "web" } };
  const pod = testPod({}, { ports: [{ name: "web", containerPort: 8080 }], livenessProbe: probe });
  await t.step("a consumer that Liqo vouches for", () => {
    const container = injected(pod).spec?.initContainers?.[1];
    assert.equal(env(container, "CONSUMER_ID"), "pharma");
    assert.equal(env(container, "CLAIMED_CONSUMER_ID"), "pharma");
    assert.equal(env(container, "PROBES"), " 8080/ok ");
  });
  await t.step("one that claims to be another", () => {
    const container = injected(pod, testPolicy({ claimedConsumer: "bank" })).spec?.initContainers?.[1];
    assert.equal(env(container, "CONSUMER_ID"), "pharma");
    assert.equal(env(container, "CLAIMED_CONSUMER_ID"), "bank");
  });
  await t.step("one that nobody vouches for", () => {
    const container = injected(pod, testPolicy({ consumer: "", claimedConsumer: "" })).spec?.initContainers?.[1];
    assert.equal(env(container, "CONSUMER_ID"), "(none)");
    assert.equal(env(container, "CLAIMED_CONSUMER_ID"), "(none)");
  });
});

Deno.test("patchPod() gives the proxy the first uid of the range that nothing in the pod uses", async (t) => {
  const table: Record<string, [Pod, number]> = {
    "nothing used": [testPod(), 21337],
    "pod-level runAsUser": [testPod({ securityContext: { runAsUser: 21337 } }), 21338],
    "fsGroup": [testPod({ securityContext: { fsGroup: 21337 } }), 21338],
    "supplementalGroups": [testPod({ securityContext: { supplementalGroups: [21338, 21337] } }), 21339],
    "a container's runAsUser": [testPod({}, { securityContext: { runAsUser: 21337 } }), 21338],
    "a container's runAsGroup": [testPod({}, { securityContext: { runAsGroup: 21337 } }), 21338],
    "an init container's runAsUser": [
      testPod({ initContainers: [testContainer({ name: "i", securityContext: { runAsUser: 21337 } })] }),
      21338,
    ],
    "a later one used": [testPod({}, { securityContext: { runAsUser: 21338 } }), 21337],
  };
  for (const [name, [pod, uid]] of Object.entries(table)) {
    await t.step(name, () => {
      const [redirect, envoy] = injected(pod).spec!.initContainers!;
      assert.equal(envoy!.securityContext?.runAsUser, uid);
      assert.equal(envoy!.securityContext?.runAsGroup, uid);
      assert.ok(redirect!.args?.includes(`proxy-uid=${uid}`), String(redirect!.args));
    });
  }
  await t.step("all used", () => {
    const groups = Array.from({ length: 10 }, (_, i) => 21337 + i);
    assert.deepEqual(refusal(testPod({ securityContext: { supplementalGroups: groups } })), [
      "spec: must leave at least one user id from 21337 to 21346 to the provider",
    ]);
  });
});

Deno.test("patchPod() merges security contexts and replaces nothing", async (t) => {
  const of = (container: object, spec: object = {}, policy = testPolicy()) =>
    injected(testPod(spec, container), policy).spec!.containers[0]!.securityContext;
  const filled = {
    runAsUser: 10_001,
    runAsNonRoot: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    seccompProfile: { type: "RuntimeDefault" },
  };
  await t.step("a silent container", () => assert.deepEqual(of({}), filled));
  await t.step("a null one", () => assert.deepEqual(of({ securityContext: null }), filled));
  await t.step("the namespace's own default uid", () => {
    assert.deepEqual(of({}, {}, testPolicy({ runAsUser: 65_534 })), { ...filled, runAsUser: 65_534 });
  });
  await t.step("what the container says stays", () => {
    const securityContext = { runAsUser: 101, runAsGroup: 7, readOnlyRootFilesystem: true, futureField: { x: 1 } };
    assert.deepEqual(of({ securityContext }), { ...filled, ...securityContext });
  });
  await t.step("what the pod says is not said again", () => {
    const { runAsUser: _uid, runAsNonRoot: _root, seccompProfile: _seccomp, ...others } = filled;
    const securityContext = { runAsUser: 5, runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } };
    assert.deepEqual(of({}, { securityContext }), others);
  });
  await t.step("dropping ALL is added to what is dropped", () => {
    const capabilities = { add: ["NET_BIND_SERVICE"], drop: ["CHOWN"], future: [[]] };
    assert.deepEqual(of({ securityContext: { capabilities } })?.capabilities, {
      ...capabilities,
      drop: ["CHOWN", "ALL"],
    });
  });
  await t.step("and where nothing is dropped", () => {
    assert.deepEqual(of({ securityContext: { capabilities: { add: ["NET_BIND_SERVICE"] } } })?.capabilities, {
      add: ["NET_BIND_SERVICE"],
      drop: ["ALL"],
    });
  });
  await t.step("root, where the profile allows it", () => {
    const root = of({ securityContext: { runAsUser: 0 } }, {}, testPolicy({ profile: "root" }));
    assert.equal(root?.runAsUser, 0);
    assert.equal(root?.runAsNonRoot, undefined);
  });
});

Deno.test("patchPod() raises pod-level resources by what the proxy takes", async (t) => {
  const of = (resources: object) => (injected(testPod({ resources })).spec as { resources?: unknown }).resources;
  const table: [string, object, object][] = [
    ["both", { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "2", memory: "1Gi" } }, {
      requests: { cpu: "1200m", memory: "1216Mi" },
      limits: { cpu: "2200m", memory: "1216Mi" },
    }],
    ["only what is set", { limits: { memory: "64Mi" } }, { limits: { memory: "256Mi" } }],
    ["others stay", { limits: { "hugepages-2Mi": "4Mi" }, future: 1 }, {
      limits: { "hugepages-2Mi": "4Mi" },
      future: 1,
    }],
    ["in any notation", { requests: { cpu: 1, memory: "1e9" } }, { requests: { cpu: "1200m", memory: "1201326592" } }],
    ["nothing", { requests: null, limits: {} }, { requests: null, limits: {} }],
  ];
  for (const [name, before, after] of table) await t.step(name, () => assert.deepEqual(of(before), after));
  await t.step("what is no quantity", () => {
    assert.deepEqual(refusal(testPod({ resources: { limits: { memory: "1Gi", cpu: "-1" } } })), [
      "spec.resources.limits[cpu]: must be a quantity like 100m, 1.5 or 128Mi, and not negative",
    ]);
  });
});

Deno.test("patchPod() takes the ServiceAccount's token from a pod that says nothing about it", async (t) => {
  const mountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
  const token = {
    name: "kube-api-access-x7k2p",
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      ],
    },
  };
  const mount = { name: token.name, mountPath, readOnly: true };
  await t.step("nothing mounted yet", () => {
    assert.equal(injected(testPod()).spec?.automountServiceAccountToken, false);
  });
  await t.step("mounted by the API server", () => {
    const { spec } = injected(testPod(
      {
        volumes: [{ name: "tmp", emptyDir: {} }, token],
        initContainers: [testContainer({ name: "i", volumeMounts: [mount] })],
      },
      { volumeMounts: [{ name: "tmp", mountPath: "/tmp" }, mount] },
    ));
    assert.equal(spec?.automountServiceAccountToken, false);
    assert.deepEqual(names(spec?.volumes), ["tmp", configVolume, runVolume]);
    assert.deepEqual(spec?.containers[0]?.volumeMounts, [{ name: "tmp", mountPath: "/tmp" }]);
    assert.deepEqual(spec?.initContainers?.[2]?.volumeMounts, []);
  });
  await t.step("one of the consumer's own stays", () => {
    const own = { name: "own", mountPath };
    const { spec } = injected(testPod({ volumes: [token, { name: "own", secret: { secretName: "t" } }] }, {
      volumeMounts: [own],
    }));
    assert.deepEqual(spec?.containers[0]?.volumeMounts, [own]);
    assert.deepEqual(names(spec?.volumes), ["own", configVolume, runVolume]);
  });
  await t.step("mounted elsewhere by the consumer", () => {
    const elsewhere = { name: token.name, mountPath: "/token" };
    assert.deepEqual(refusal(testPod({ volumes: [token] }, { volumeMounts: [mount, elsewhere] })), [
      "spec.volumes[0].projected.sources[0].serviceAccountToken: " +
      "must be left out: the provider gives pods no identity; a token of your own goes into a Secret",
    ]);
  });
  await t.step("asked for", () => {
    assert.deepEqual(refusal(testPod({ automountServiceAccountToken: true })), [
      "spec.automountServiceAccountToken: must be false",
    ]);
  });
});

Deno.test("patchPod() adds the Secret with registry credentials once", () => {
  const injection = testInjection({ imagePullSecret: "registry" });
  const secrets = (pod: Pod) =>
    names(injected(pod, testPolicy(), injection).spec?.imagePullSecrets as { name: string }[]);
  assert.deepEqual(secrets(testPod()), ["registry"]);
  assert.deepEqual(secrets(testPod({ imagePullSecrets: [{ name: "mine" }] })), ["mine", "registry"]);
  assert.deepEqual(secrets(testPod({ imagePullSecrets: [{ name: "registry" }] })), ["registry"]);
  const pod = injected(testPod(), testPolicy(), injection);
  const { imagePullSecrets: _, ...spec } = pod.spec!;
  assert.deepEqual(secrets({ ...pod, spec }), ["registry"], "also where our containers are there already");
});

Deno.test("patchPod() changes nothing in a pod that it has made", async (t) => {
  const table: Record<string, Pod> = {
    "Liqo's": await liqoPod(),
    "silent": testPod(),
    "with init containers": testPod({ initContainers: [testContainer({ name: "i" })] }),
    "with probes": testPod({}, { readinessProbe: { httpGet: { port: 80 } } }),
    "with pod-level resources": testPod({ resources: { limits: { cpu: "1" } } }),
  };
  for (const [name, pod] of Object.entries(table)) {
    await t.step(name, () => {
      const again = patch(injected(pod));
      assert.deepEqual(again.kind === "patched" && again.ops, []);
    });
  }
});
