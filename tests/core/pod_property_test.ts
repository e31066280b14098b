import assert from "node:assert/strict";
import fc from "fast-check";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import type { Profile } from "../../lib/core/namespace_policy.ts";
import { patchPod } from "../../lib/core/pod_patch.ts";
import { asPod } from "../../lib/core/pod_shape.ts";
import { judge } from "../../lib/core/rules/rules.ts";
import { tenantContainers } from "../../lib/core/tenant_containers.ts";
import { anyPod } from "../support/pod_arbitrary.ts";
import { patch, testInjection } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";

const injection = testInjection({ imagePullSecret: "registry" });
const profiles = fc.constantFrom<Profile>("restricted", "root", "observed");
/** `PROPERTY_RUNS` changes it; the fuzz task takes more. */
const RUNS = { numRuns: Number(Deno.env.get("PROPERTY_RUNS") ?? 150) };

/** Runs a property over pods, and fails if hardly any of them was let through. */
function forAllPods(check: (pod: Pod, after: Pod, profile: Profile) => void): void {
  const seen = { patched: 0, refused: 0 };
  fc.assert(
    fc.property(anyPod, profiles, (pod, profile) => {
      const result = patch(asPod(pod), testPolicy({ profile }), injection);
      seen[result.kind]++;
      if (result.kind === "patched") check(pod, result.pod, profile);
    }),
    RUNS,
  );
  assert.ok(seen.patched > RUNS.numRuns / 20, `only ${seen.patched} of ${RUNS.numRuns} pods were let through`);
  assert.ok(seen.refused > RUNS.numRuns / 20, `only ${seen.refused} of ${RUNS.numRuns} pods were refused`);
}

Deno.test("patchPod() changes nothing the second time", () => {
  forAllPods((_pod, after, profile) => {
    const again = patch(after, testPolicy({ profile }), injection);
    assert.deepEqual(again.kind === "patched" ? again.ops : again.violations, []);
  });
});

Deno.test("patchPod() lets no pod through that a rule refuses, and none with a container unguarded", () => {
  forAllPods((_pod, after, profile) => {
    const policy = testPolicy({ profile });
    const containers = tenantContainers(after);
    const [redirect, envoy] = after.spec!.initContainers!;
    const proxyUid = envoy!.securityContext!.runAsUser!;
    assert.deepEqual(judge(after, { policy, proxyUid, containers }), []);
    assert.deepEqual([redirect!.name, envoy!.name], ["data-space-init", "data-space-proxy"]);
    for (const { container } of containers) {
      const own = container.securityContext!;
      const uid = own.runAsUser ?? after.spec!.securityContext!.runAsUser!;
      assert.notEqual(uid, proxyUid);
      assert.ok(profile !== "restricted" || uid !== 0);
      assert.equal(own.allowPrivilegeEscalation, false);
      assert.ok(own.capabilities?.drop?.includes("ALL"));
      assert.ok(!container.name.startsWith("data-space-"));
    }
  });
});

Deno.test("patchPod() takes nothing of ours from the consumer", () => {
  forAllPods((_pod, after) => {
    const [redirect, envoy] = after.spec!.initContainers!;
    const proxyUid = envoy!.securityContext!.runAsUser!;
    const probes = envoy!.env!.find(({ name }) => name === "PROBES")!.value!;
    const values = { proxyUid, consumer: "pharma", claimedConsumer: "pharma", probes };
    const ours = testInjection({ imagePullSecret: "registry" }).current;
    assert.deepEqual([redirect, envoy], ours.containers(values).map(({ object }) => object));
    assert.deepEqual(after.spec!.volumes!.slice(-2), ours.volumes.map(({ object }) => object));
  });
});

Deno.test("patchPod() keeps all that the consumer wrote, in order", () => {
  forAllPods((pod, after) => {
    const { initContainers, containers, ...spec } = pod.spec!;
    assert.deepEqual(withoutOurs(after.spec!.initContainers!.slice(2), initContainers ?? []), initContainers ?? []);
    assert.deepEqual(withoutOurs(after.spec!.containers, containers), containers);
    for (const [field, value] of Object.entries(spec)) {
      if (["volumes", "imagePullSecrets", "resources", "automountServiceAccountToken"].includes(field)) continue;
      assert.deepEqual((after.spec as unknown as Record<string, unknown>)[field], value, field);
    }
  });
});

/** Containers without the security that they did not name themselves, and with the token that was taken off. */
function withoutOurs(after: Container[], before: Container[]): unknown[] {
  return after.map((container, i) => {
    const own = before[i]!;
    const result: Record<string, unknown> = { ...container, volumeMounts: own.volumeMounts };
    const named = own.securityContext as Record<string, unknown> | null | undefined;
    result.securityContext = named && Object.fromEntries(
      Object.entries(container.securityContext ?? {}).filter(([key]) => key in named)
        .map(([key, value]) => [key, named[key] === null || key === "capabilities" ? named[key] : value]),
    );
    for (const field of ["volumeMounts", "securityContext"]) if (!(field in own)) delete result[field];
    return result;
  });
}

Deno.test("asPod() refuses what patchPod() could not read: no value anywhere makes anything throw", () => {
  const paths = (value: unknown, at: (string | number)[] = []): (string | number)[][] =>
    typeof value !== "object" || value === null
      ? [at]
      : [at, ...Object.entries(value).flatMap(([key, member]) => paths(member, [...at, key]))];
  let read = 0;
  fc.assert(
    fc.property(anyPod, fc.nat(), fc.jsonValue({ maxDepth: 2 }), (pod, which, value) => {
      const all = paths(pod);
      const hostile = replaced(pod, all[which % all.length]!, value);
      try {
        asPod(hostile);
      } catch (error) {
        assert.match((error as Error).message, /^Cannot read pod: /);
        return;
      }
      read++;
      const result = patchPod(hostile as Pod, testPolicy(), injection);
      if (result.kind === "patched") JSON.parse(`[${result.ops.map(({ json }) => json).join()}]`);
    }),
    RUNS,
  );
  assert.ok(read > RUNS.numRuns / 20, `only ${read} pods were read`);
});

function replaced(holder: unknown, [key, ...path]: (string | number)[], value: unknown): unknown {
  if (key === undefined) return value;
  const copy = (Array.isArray(holder) ? [...holder] : { ...holder as object }) as Record<string | number, unknown>;
  Object.defineProperty(copy, key, {
    value: replaced(copy[key], path, value),
    enumerable: true,
    writable: true,
    configurable: true,
  });
  return copy;
}
