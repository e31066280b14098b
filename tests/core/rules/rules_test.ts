import assert from "node:assert/strict";
import { interfaceAnnotations, isInterfaceRequest } from "../../../lib/core/rules/interface_annotations.ts";
import type { Profile } from "../../../lib/core/namespace_policy.ts";
import { rules } from "../../../lib/core/rules/rules.ts";
import { tenantContainers } from "../../../lib/core/tenant_containers.ts";
import { injected, liqoPod, patch, testPod } from "../../support/pods.ts";
import { testPolicy } from "../../support/policy.ts";
import { cases } from "./cases.ts";

const PROFILES: Profile[] = ["restricted", "root", "observed"];
const INTERNAL = /envoy|iptables|redirect|webhook|data-spacer|sidecar(?!\.istio\.io)|conntrack/i;

for (const [topic, table] of Object.entries(cases)) {
  Deno.test(`rules about ${topic} refuse what contradicts and let the rest through, in every profile`, async (t) => {
    for (const { name, pod, refused, passesIn = [], policy } of table) {
      await t.step(name, () => {
        for (const profile of PROFILES) {
          const result = patch(pod, testPolicy({ ...policy, profile }));
          const found = result.kind === "patched" ? [] : result.violations.map((v) => `${v.field}: ${v.message}`);
          const expected = passesIn.includes(profile) ? [] : refused;
          const shortened = found.map((line, i) => line.startsWith(expected[i] ?? "\0") ? expected[i] : line);
          // Numbers and names in a message may depend on the profile.
          if (profile === "restricted") assert.deepEqual(shortened, expected, profile);
          else assert.deepEqual(found.map(fieldOf), expected.map(fieldOf), profile);
          for (const line of found) assert.doesNotMatch(line, INTERNAL);
        }
      });
    }
  });
}

function fieldOf(line: string): string {
  return line.slice(0, line.indexOf(": "));
}

Deno.test("every rule refuses one of the cases", () => {
  const all = Object.values(cases).flat();
  const unused = rules.filter((rule) =>
    !all.some(({ pod, policy, refused }) => {
      if (refused.length === 0) return false;
      const context = { policy: testPolicy(policy), proxyUid: 21337, containers: tenantContainers(pod) };
      return rule.check(pod, context).some(({ field }) => refused.some((line) => fieldOf(line) === field));
    })
  );
  // Chosen so that it holds: no pod gets there.
  assert.deepEqual(unused.map(({ id }) => id), ["proxy-uid"]);
});

Deno.test("the rule about users refuses the proxy's uid, by container or by pod", async (t) => {
  const rule = rules.find(({ id }) => id === "run-as-user")!;
  for (
    const [name, pod] of Object.entries({
      "container": testPod({}, { securityContext: { runAsUser: 21337 } }),
      "pod": testPod({ securityContext: { runAsUser: 21337 } }),
    })
  ) {
    await t.step(name, () => {
      const context = {
        policy: testPolicy({ profile: "observed" }),
        proxyUid: 21337,
        containers: tenantContainers(pod),
      };
      assert.deepEqual(rule.check(pod, context).map(({ message }) => message), ["must be a user id other than 21337"]);
      assert.deepEqual(rule.check(pod, { ...context, proxyUid: 21338 }), []);
    });
  }
});

Deno.test("the rule about the proxy's uid finds it wherever a pod names it", async (t) => {
  const rule = rules.find(({ id }) => id === "proxy-uid")!;
  const table = {
    "pod": testPod({ securityContext: { runAsUser: 21337 } }),
    "group": testPod({ securityContext: { fsGroup: 21337 } }),
    "container": testPod({}, { securityContext: { runAsUser: 21337 } }),
  };
  for (const [name, pod] of Object.entries(table)) {
    await t.step(name, () => {
      const context = { policy: testPolicy(), proxyUid: 21337, containers: tenantContainers(pod) };
      assert.equal(rule.check(pod, context).length, 1);
      assert.equal(rule.check(pod, { ...context, proxyUid: 21338 }).length, 0);
    });
  }
});

/** Rows of the bypass matrix that admission closes. */
const ROWS = [
  "reserved container or volume name",
  "our volumes in a tenant container",
  "hostNetwork, hostPID, hostIPC, hostPort, privileged, hostPath, procMount, Windows",
  "proxy uid at pod, container, init, ephemeral level, or image USER (invisible)",
  "sysctls",
  "shareProcessNamespace",
  "more interfaces",
  "restartPolicyRules, RestartAllContainers",
  "`pods/ephemeralcontainers`",
  "`host` in probes and hooks (kubelet as client)",
  "service account token",
  "runtimeClassName (gVisor, Kata)",
  "AF_VSOCK, io_uring",
  "values injected through annotations",
  "serviceAccountName, nodeName, priorityClassName",
  "name prefix, volumes, capture and health ports",
  "DNS to an unlisted server",
];

Deno.test("every row of the bypass matrix that admission closes has a rule", async (t) => {
  for (const row of ROWS) await t.step(row, () => assert.ok(rules.some((rule) => rule.row === row)));
  for (const row of ["6", "7", "8", "9", "10"]) {
    await t.step(`row ${row}`, () => assert.ok(rules.some((rule) => rule.row.split(", ").includes(row))));
  }
});

Deno.test("Liqo's pod passes in every profile", async (t) => {
  for (const profile of PROFILES) {
    await t.step(profile, async () => assert.ok(injected(await liqoPod(), testPolicy({ profile }))));
  }
});

Deno.test("isInterfaceRequest() knows every listed key, and no key by which plugins report", () => {
  for (const key of interfaceAnnotations) assert.equal(isInterfaceRequest(key), true, key);
  assert.equal(new Set(interfaceAnnotations).size, interfaceAnnotations.length);
  for (const key of ["k8s.v1.cni.cncf.io/network-status", "cni.projectcalico.org/podIPs", "app", "__proto__"]) {
    assert.equal(isInterfaceRequest(key), false, key);
  }
});
