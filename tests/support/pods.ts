import assert from "node:assert/strict";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { parseAllDocuments } from "yaml";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { type Injection, PreparedTemplate } from "../../lib/core/injection.ts";
import type { NamespacePolicy } from "../../lib/core/namespace_policy.ts";
import { patchPod, type PatchResult } from "../../lib/core/pod_patch.ts";
import type { Settings } from "../../lib/core/settings.ts";
import { applyPatch, type Operation } from "./json_patch.ts";
import { testPolicy } from "./policy.ts";
import { testSettings } from "./settings.ts";
import { readFile } from "./tree.ts";

/** What a replica with these settings injects. */
export function testInjection(settings: Partial<Settings> = {}, accepted: PreparedTemplate[] = []): Injection {
  return { current: new PreparedTemplate(injectionTemplate(testSettings(settings))), accepted };
}

/** A pod with one container. Fields of newer Kubernetes releases than the types know may be given, and wrong ones too. */
export function testPod(spec: object = {}, container: object = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "app", namespace: "trial-pharma" },
    spec: { containers: [testContainer(container)], ...spec },
  } as Pod;
}

/** A container that says nothing but its name and image. */
export function testContainer(more: object = {}): Container {
  return { name: "app", image: "localhost/app:1", ...more };
}

/** The pod that Liqo makes of a consumer's plain pod. */
export async function liqoPod(): Promise<Pod> {
  return parseAllDocuments(await readFile("tests/testdata/liqo_pod.yaml"))[0]!.toJS();
}

/**
 * Runs `patchPod` and checks what holds for every pod: the input stays as it was, and the operations, applied as an API server would, give the
 * pod that comes with them.
 */
export function patch(
  pod: Pod,
  policy: NamespacePolicy = testPolicy(),
  injection: Injection = testInjection(),
): PatchResult {
  const before = structuredClone(pod);
  const result = patchPod(pod, policy, injection);
  assert.deepEqual(pod, before, "the input was changed");
  if (result.kind === "patched") {
    const operations = result.ops.map(({ json }) => JSON.parse(json) as Operation);
    assert.deepEqual(applyPatch(pod, operations), result.pod, "the operations make another pod");
  }
  return result;
}

/** The pod after `patch`. */
export function injected(pod: Pod, policy?: NamespacePolicy, injection?: Injection): Pod {
  const result = patch(pod, policy, injection);
  if (result.kind === "refused") assert.fail(JSON.stringify(result.violations));
  return result.pod;
}

/** The violations that `patch` finds, as `field: message`. */
export function refusal(pod: Pod, policy?: NamespacePolicy, injection?: Injection): string[] {
  const result = patch(pod, policy, injection);
  if (result.kind === "patched") assert.fail("the pod was let through");
  return result.violations.map(({ field, message }) => `${field}: ${message}`);
}

/** A pod of containers that say nothing about security. */
export function silentPod(count: number): Pod {
  return testPod({ containers: Array.from({ length: count }, (_, i) => testContainer({ name: `c${i}` })) });
}

/** A pod of containers that say a good deal, also about security, but not all of it. */
export function busyPod(count: number): Pod {
  const probe = { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 10 };
  const containers = Array.from({ length: count }, (_, i) =>
    testContainer({
      name: `c${i}`,
      ports: [{ name: "http", containerPort: 8000 + i }],
      env: Array.from({ length: 10 }, (_, k) => ({ name: `VARIABLE_${k}`, value: `value ${k} of ${i}` })),
      resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { memory: "64Mi" } },
      securityContext: { runAsUser: 1_000 + i, capabilities: { add: ["NET_BIND_SERVICE"], drop: ["KILL"] } },
      volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
      livenessProbe: probe,
      readinessProbe: probe,
    }));
  return testPod({ containers, volumes: [{ name: "tmp", emptyDir: {} }] });
}
