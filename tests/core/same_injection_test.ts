import assert from "node:assert/strict";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { PreparedTemplate } from "../../lib/core/injection.ts";
import { injectedNames } from "../../lib/core/names.ts";
import type { NamespacePolicy } from "../../lib/core/namespace_policy.ts";
import { injected, liqoPod, patch, refusal, testContainer, testInjection, testPod } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";
import { testSettings } from "../support/settings.ts";

// deno-lint-ignore no-explicit-any
type Loose = any;

/** A pod that was injected, then changed on its way to the second call. */
function changed(change: (pod: Loose, ours: Loose[]) => void, before: Pod = testPod()): Pod {
  const pod = structuredClone(injected(before)) as Loose;
  change(pod, pod.spec.initContainers.slice(0, 2));
  return pod;
}

/** Asserts that the second call changes nothing. */
function assertKept(pod: Pod, policy?: NamespacePolicy): void {
  const result = patch(pod, policy);
  assert.deepEqual(result.kind === "patched" ? result.ops : result.violations, []);
}

const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const tokenMount = { name: "kube-api-access-x7k2p", mountPath: TOKEN_PATH, readOnly: true };

Deno.test("patchPod() keeps our containers as the API server and its plugins change them", async (t) => {
  const table: Record<string, (pod: Loose, ours: Loose[]) => void> = {
    "defaults of every container": (pod) => {
      for (const container of [...pod.spec.initContainers, ...pod.spec.containers]) {
        container.terminationMessagePath = "/dev/termination-log";
        container.terminationMessagePolicy = "File";
        container.resizePolicy = [
          { resourceName: "cpu", restartPolicy: "NotRequired" },
          { resourceName: "memory", restartPolicy: "NotRequired" },
        ];
      }
    },
    "empty values are left out": (_pod, ours) => {
      for (const variable of ours[1].env) if (variable.value === "") delete variable.value;
    },
    "AlwaysPullImages": (pod) => {
      for (const c of [...pod.spec.initContainers, ...pod.spec.containers]) c.imagePullPolicy = "Always";
    },
    "a LimitRange for ephemeral storage": (_pod, ours) => {
      for (const { resources } of ours) {
        resources.limits["ephemeral-storage"] = "2Gi";
        resources.requests["ephemeral-storage"] = "1Gi";
      }
    },
    "quantities written another way": (_pod, ours) => {
      ours[0].resources = { requests: { cpu: "0.3", memory: "67108864" }, limits: { cpu: 0.3, memory: "65536Ki" } };
    },
    "empty claims": (_pod, ours) => ours[0].resources.claims = [],
    "defaults of the pod": (pod) => {
      Object.assign(pod.spec, {
        serviceAccountName: "default",
        serviceAccount: "default",
        priority: 0,
        preemptionPolicy: "PreemptLowerPriority",
        schedulerName: "default-scheduler",
        enableServiceLinks: true,
        tolerations: [{ key: "node.kubernetes.io/not-ready", operator: "Exists", tolerationSeconds: 300 }],
      });
    },
    "another webhook's container": (pod) => {
      pod.spec.containers.push(testContainer({
        name: "agent",
        securityContext: pod.spec.containers[0].securityContext,
      }));
    },
  };
  for (const [name, change] of Object.entries(table)) await t.step(name, () => assertKept(changed(change)));
});

Deno.test("patchPod() takes the token off that the API server mounted into our containers", async (t) => {
  for (const at of [0, 1, 2]) {
    await t.step(`at ${at}`, () => {
      const pod = changed((_pod, ours) => ours[1].volumeMounts.splice(at, 0, tokenMount));
      assert.deepEqual(injected(pod), injected(testPod()));
      const result = patch(pod);
      assert.equal(result.kind === "patched" && result.ops.length, 1);
    });
  }
  await t.step("where we mount nothing ourselves", () => {
    const pod = changed((_pod, ours) => ours[0].volumeMounts = [tokenMount]);
    assert.deepEqual(injected(pod).spec?.initContainers?.[0]?.volumeMounts, []);
    assertKept(injected(pod));
  });
});

Deno.test("patchPod() completes what another webhook left", async (t) => {
  await t.step("its init container before ours", () => {
    const agent = testContainer({ name: "agent" });
    const pod = injected(changed((pod) => pod.spec.initContainers.unshift(agent)));
    assert.deepEqual(pod.spec?.initContainers?.map(({ name }) => name), [
      injectedNames.init,
      injectedNames.proxy,
      "agent",
    ]);
    assert.equal(pod.spec?.initContainers?.[2]?.securityContext?.runAsUser, 10_001);
  });
  await t.step("its init containers before, between and behind ours", () => {
    const before = testPod({ initContainers: [testContainer({ name: "last" })] });
    const pod = injected(changed((pod) => {
      pod.spec.initContainers.splice(1, 0, testContainer({ name: "between" }));
      pod.spec.initContainers.unshift(testContainer({ name: "first" }));
    }, before));
    const names = pod.spec?.initContainers?.map(({ name }) => name);
    assert.deepEqual(names, [injectedNames.init, injectedNames.proxy, "first", "between", "last"]);
    assertKept(pod);
  });
  await t.step("ours in the wrong order", () => {
    const pod = injected(changed((pod) => pod.spec.initContainers.reverse()));
    assert.deepEqual(pod, injected(testPod()));
  });
  await t.step("a container with a probe", () => {
    const probe = { httpGet: { path: "/healthz", port: 9090 } };
    const pod = injected(
      changed((pod) => pod.spec.containers.push(testContainer({ name: "agent", livenessProbe: probe }))),
    );
    const probes = pod.spec?.initContainers?.[1]?.env?.find(({ name }) => name === "PROBES");
    assert.deepEqual(probes, { name: "PROBES", value: " 9090/healthz " });
    assertKept(pod);
  });
});

Deno.test("patchPod() refuses our containers in any other shape", async (t) => {
  const set = (i: number, field: string, value: unknown) => (_pod: Loose, ours: Loose[]) => ours[i][field] = value;
  const table: Record<string, [(pod: Loose, ours: Loose[]) => void, string]> = {
    "image of the first": [set(0, "image", "evil"), "spec.initContainers[0].image"],
    "image of the proxy": [set(1, "image", "evil"), "spec.initContainers[1].image"],
    "script": [(_p, ours) => ours[0].command[2] = "exit 0", "spec.initContainers[0].command"],
    "an argument": [(_p, ours) => ours[0].args[1] = "proxy-uid=10001", "spec.initContainers[0].args"],
    "one argument more": [(_p, ours) => ours[0].args.push("x"), "spec.initContainers[0].args"],
    "another uid": [(_p, ours) => ours[1].securityContext.runAsUser = 0, "spec.initContainers[1].securityContext"],
    "a variable more": [
      (_p, ours) => ours[1].env.push({ name: "LD_PRELOAD", value: "/x" }),
      "spec.initContainers[1].env",
    ],
    "another consumer": [(_p, ours) => ours[1].env[0].value = "bank", "spec.initContainers[1].env"],
    "probes from elsewhere": [
      (_p, ours) => ours[1].env.at(-1).valueFrom = { fieldRef: { fieldPath: "metadata.labels['x']" } },
      "spec.initContainers[1].env",
    ],
    "envFrom": [set(1, "envFrom", [{ configMapRef: { name: "x" } }]), "spec.initContainers[1].envFrom"],
    "workingDir": [set(1, "workingDir", "/tmp"), "spec.initContainers[1].workingDir"],
    "lifecycle": [
      set(1, "lifecycle", { postStart: { exec: { command: ["sh"] } } }),
      "spec.initContainers[1].lifecycle",
    ],
    "no restart policy": [(_p, ours) => delete ours[1].restartPolicy, "spec.initContainers[1].restartPolicy"],
    "restart rules": [
      set(1, "restartPolicyRules", [{ action: "Restart" }]),
      "spec.initContainers[1].restartPolicyRules",
    ],
    "no startup probe": [(_p, ours) => delete ours[1].startupProbe, "spec.initContainers[1].startupProbe"],
    "a probe more": [set(1, "livenessProbe", { exec: { command: ["x"] } }), "spec.initContainers[1].livenessProbe"],
    "ports": [set(1, "ports", [{ containerPort: 80 }]), "spec.initContainers[1].ports"],
    "a mount more": [
      (_p, ours) => ours[1].volumeMounts.push({ name: "x", mountPath: "/etc/data-space/envoy.yaml" }),
      "spec.initContainers[1].volumeMounts",
    ],
    "a mount by subPath": [
      (_p, ours) => ours[1].volumeMounts[0].subPath = "x",
      "spec.initContainers[1].volumeMounts",
    ],
    "a block device": [
      set(0, "volumeDevices", [{ name: "x", devicePath: "/dev/x" }]),
      "spec.initContainers[0].volumeDevices",
    ],
    "a terminal": [set(1, "tty", true), "spec.initContainers[1].tty"],
    "the image of the node": [set(1, "imagePullPolicy", "Never"), "spec.initContainers[1].imagePullPolicy"],
    "no pull policy": [(_p, ours) => delete ours[0].imagePullPolicy, "spec.initContainers[0].imagePullPolicy"],
    "a termination message over a file": [
      set(0, "terminationMessagePath", "/usr/sbin/iptables-nft-restore"),
      "spec.initContainers[0].terminationMessagePath",
    ],
    "a termination message from the log": [
      set(1, "terminationMessagePolicy", "FallbackToLogsOnError"),
      "spec.initContainers[1].terminationMessagePolicy",
    ],
    "a restart on resize": [
      set(1, "resizePolicy", [{ resourceName: "memory", restartPolicy: "RestartContainer" }]),
      "spec.initContainers[1].resizePolicy",
    ],
    "resizePolicy of nonsense": [set(1, "resizePolicy", [null]), "spec.initContainers[1].resizePolicy"],
    "less memory": [
      (_p, ours) => ours[1].resources.limits.memory = "1Mi",
      "spec.initContainers[1].resources",
    ],
    "more memory": [
      (_p, ours) => ours[1].resources.requests.memory = "1Ti",
      "spec.initContainers[1].resources",
    ],
    "no limit": [(_p, ours) => delete ours[1].resources.limits.cpu, "spec.initContainers[1].resources"],
    "no resources": [(_p, ours) => delete ours[1].resources, "spec.initContainers[1].resources"],
    "a device": [
      (_p, ours) => ours[1].resources.limits["example.com/nic"] = "1",
      "spec.initContainers[1].resources",
    ],
    "a claim": [
      (_p, ours) => ours[1].resources.claims = [{ name: "x" }],
      "spec.initContainers[1].resources",
    ],
    "an unknown field": [set(0, "future", { x: 1 }), "spec.initContainers[0].future"],
    "a field that JavaScript gives a meaning": [set(0, "constructor", "x"), "spec.initContainers[0].constructor"],
    "the first missing": [(pod) => pod.spec.initContainers.shift(), "spec.initContainers[0].name"],
    "the second missing": [(pod) => pod.spec.initContainers.splice(1, 1), "spec.initContainers[1].name"],
    "a volume missing": [(pod) => pod.spec.volumes.pop(), "spec.volumes"],
    "a volume of another kind": [
      (pod) => pod.spec.volumes[1] = { name: injectedNames.runVolume, hostPath: { path: "/" } },
      "spec.volumes[1]",
    ],
    "another ConfigMap": [(pod) => pod.spec.volumes[0].configMap.name = "mine", "spec.volumes[0]"],
    "a volume with a second source": [(pod) => pod.spec.volumes[0].hostPath = { path: "/" }, "spec.volumes[0]"],
  };
  for (const [name, [change, field]] of Object.entries(table)) {
    await t.step(name, () => {
      assert.deepEqual(refusal(changed(change)), [
        `${field}: belongs to the provider, who adds it: leave out containers and volumes whose names begin with "data-space-"`,
      ]);
    });
  }
});

Deno.test("patchPod() refuses our names anywhere but where we put them", async (t) => {
  const { init, proxy, configVolume } = injectedNames;
  const reserved = (field: string) =>
    `${field}.name: must be another name: those that begin with "data-space-" are reserved by the provider`;
  const container = testContainer({ name: proxy, securityContext: { privileged: true } });
  await t.step("a container of ours twice", () => {
    const twice = (i: number) => changed((pod, ours) => pod.spec.initContainers.push(structuredClone(ours[i])));
    assert.ok(refusal(twice(0)).includes(reserved("spec.initContainers[0]")));
    assert.equal(refusal(twice(1)).length, 1, "its uid is the proxy's");
  });
  for (const field of ["containers", "ephemeralContainers"]) {
    await t.step(`among ${field}`, () => {
      const pod = changed((pod) => pod.spec[field] = [...(pod.spec[field] ?? []), container]);
      const found = refusal(pod).join("\n");
      assert.match(found, new RegExp(`spec\\.${field}\\[\\d\\]\\.name: must be another name`));
      assert.match(found, new RegExp(`spec\\.${field}\\[\\d\\]\\.securityContext\\.privileged: must be false`));
    });
    await t.step(`among ${field} alone`, () => {
      const pod = testPod({ [field]: [container] });
      assert.deepEqual(refusal(pod), [
        'spec.initContainers[0].name: belongs to the provider, who adds it: leave out containers and volumes whose names begin with "data-space-"',
      ]);
    });
  }
  await t.step("a volume of ours twice", () => {
    const pod = changed((pod) => pod.spec.volumes.push({ name: configVolume, emptyDir: {} }));
    assert.deepEqual(refusal(pod), [reserved("spec.volumes[2]")]);
  });
  await t.step("a volume alone", () => {
    assert.equal(refusal(testPod({ volumes: [{ name: configVolume, emptyDir: {} }] })).length, 1);
  });
  await t.step("a container with the name of a volume of ours", () => {
    assert.equal(refusal(testPod({}, { name: configVolume })).length, 1);
  });
  await t.step("the first init container alone", () => {
    assert.equal(refusal(testPod({ initContainers: [testContainer({ name: init })] })).length, 1);
  });
});

Deno.test("patchPod() accepts pods of the version before, and completes them by its template", async (t) => {
  const before = new PreparedTemplate(injectionTemplate(testSettings({
    proxyImage: "envoy:old",
    proxyUids: { first: 30_000, last: 30_009 },
    imagePullSecret: "old",
  })));
  const pod = injected(await liqoPod(), testPolicy(), { current: before, accepted: [] });
  await t.step("as it is", () => {
    const result = patch(pod, testPolicy(), testInjection({}, [before]));
    assert.deepEqual(result.kind === "patched" && result.ops, []);
  });
  await t.step("its Secret is missing", () => {
    const { imagePullSecrets: _, ...spec } = pod.spec!;
    const after = injected({ ...pod, spec }, testPolicy(), testInjection({}, [before]));
    assert.deepEqual(after.spec?.imagePullSecrets, [{ name: "old" }]);
  });
  await t.step("not once it is forgotten", () => {
    assert.match(refusal(pod).join(), /^spec\.initContainers\[0\]\.args|^spec\.initContainers\[1\]\.image/);
  });
  await t.step("not half of each", () => {
    const mixed = structuredClone(pod) as { spec: { initContainers: Container[] } };
    mixed.spec.initContainers[0] = injected(testPod()).spec!.initContainers![0]!;
    assert.equal(refusal(mixed as Pod, testPolicy(), testInjection({}, [before])).length, 1);
  });
  await t.step("not those of another namespace's consumer", () => {
    assert.equal(refusal(pod, testPolicy({ consumer: "bank" }), testInjection({}, [before])).length, 1);
  });
});
