import assert from "node:assert/strict";
import { labels, liqo } from "../../lib/core/names.ts";
import {
  type NamespaceFacts,
  namespaceFacts,
  type NamespacePolicy,
  namespacePolicy,
  roleOf,
  tenantNameOf,
} from "../../lib/core/namespace_policy.ts";
import { testSettings } from "../support/settings.ts";

const settings = testSettings();

function offloaded(
  more: Record<string, string> = {},
  namespaceMap: string | undefined = "liqo-tenant-pharma/hospital",
): NamespaceFacts {
  return {
    name: "trial",
    uid: "u",
    labels: { [liqo.remoteClusterId]: "pharma", ...more },
    namespaceMap,
    terminating: false,
  };
}

function tenant(
  more: Record<string, string> = { [liqo.tenantNamespace]: "true", [liqo.remoteClusterId]: "pharma" },
): NamespaceFacts {
  return { name: "liqo-tenant-pharma", uid: "t", labels: more, namespaceMap: undefined, terminating: false };
}

const policyOf = (more: Record<string, string> = {}, of: NamespaceFacts | undefined = tenant()): NamespacePolicy =>
  namespacePolicy(offloaded(more), of, settings);
const reasons = (policy: NamespacePolicy) => policy.findings.map(({ reason }) => reason);

Deno.test("namespaceFacts() keeps what decides, and not the rest", () => {
  const facts = namespaceFacts({
    metadata: {
      name: "trial",
      uid: "u",
      labels: {
        [liqo.remoteClusterId]: "pharma",
        [labels.podProfile]: "root",
        [labels.podSecurityEnforce]: "baseline",
        "kubernetes.io/metadata.name": "trial",
      },
      annotations: { [liqo.namespaceMap]: "t/m", other: "x".repeat(10_000) },
      deletionTimestamp: "2026-01-01T00:00:00Z",
    },
  });
  assert.deepEqual(facts, {
    name: "trial",
    uid: "u",
    labels: { [liqo.remoteClusterId]: "pharma", [labels.podProfile]: "root", [labels.podSecurityEnforce]: "baseline" },
    namespaceMap: "t/m",
    terminating: true,
  });
  assert.deepEqual(namespaceFacts({}), { name: "", uid: "", labels: {}, namespaceMap: undefined, terminating: false });
});

Deno.test("roleOf() tells offloaded from tenant namespaces, of every Liqo release", async (t) => {
  const table: [string, Record<string, string>, string][] = [
    ["offloaded", { [liqo.remoteClusterId]: "pharma" }, "offloaded"],
    ["offloaded with an empty id", { [liqo.remoteClusterId]: "" }, "offloaded"],
    ["tenant, v1", { [liqo.remoteClusterId]: "pharma", [liqo.tenantNamespace]: "true" }, "tenant"],
    [
      "tenant, whatever the label says",
      { [liqo.remoteClusterId]: "pharma", [liqo.tenantNamespace]: "false" },
      "tenant",
    ],
    ["tenant, v0", { [liqo.clusterIdV0]: "x", [liqo.tenantNamespaceV0]: "true" }, "tenant"],
    ["other", { app: "x" }, "other"],
    ["none", {}, "other"],
  ];
  for (const [name, of, role] of table) await t.step(name, () => assert.equal(roleOf(of), role));
});

Deno.test("tenantNameOf() reads Liqo's annotation and nothing else", async (t) => {
  const table: [string | undefined, string | undefined][] = [
    ["liqo-tenant-pharma/hospital", "liqo-tenant-pharma"],
    [undefined, undefined],
    ["", undefined],
    ["liqo-tenant-pharma", undefined],
    ["/hospital", undefined],
    ["a/", undefined],
    ["a/b/c", undefined],
  ];
  for (const [annotation, name] of table) {
    await t.step(String(annotation), () => {
      assert.equal(tenantNameOf({ ...offloaded(), namespaceMap: annotation }), name);
    });
  }
});

Deno.test("namespacePolicy() protects a namespace that says nothing", () => {
  const policy = policyOf();
  assert.deepEqual(
    [policy.consumer, policy.claimedConsumer, policy.proxy, policy.netpol, policy.profile, policy.runAsUser],
    ["pharma", undefined, true, true, "restricted", 10_001],
  );
  assert.deepEqual(policy.findings, []);
});

Deno.test('namespacePolicy() opts out for exactly "false", and warns of all but that and "true"', async (t) => {
  for (const [key, field] of [[labels.applyWebhook, "proxy"], [labels.applyNetpol, "netpol"]] as const) {
    for (
      const [value, kept, warned] of [
        ["false", false, false],
        ["true", true, false],
        ["False", true, true],
        ["no", true, true],
        ["", true, true],
        ["0", true, true],
      ] as const
    ) {
      await t.step(`${key}="${value}"`, () => {
        const policy = policyOf({ [key]: value });
        assert.equal(policy[field], kept);
        assert.deepEqual(reasons(policy), warned ? ["InvalidLabel"] : []);
        if (warned) assert.match(policy.findings[0]!.message, new RegExp(`^Label ${key} "${value}"`));
      });
    }
  }
});

Deno.test("namespacePolicy() takes a profile that it knows, else the strictest and a warning", async (t) => {
  for (
    const [value, profile, warnings] of [
      ["restricted", "restricted", []],
      ["root", "root", []],
      ["observed", "observed", ["RedirectAdvisory"]],
      ["Root", "restricted", ["InvalidLabel"]],
      ["", "restricted", ["InvalidLabel"]],
      ["constructor", "restricted", ["InvalidLabel"]],
    ] as const
  ) {
    await t.step(value || "empty", () => {
      const policy = policyOf({ [labels.podProfile]: value });
      assert.equal(policy.profile, profile);
      assert.deepEqual(reasons(policy), warnings);
    });
  }
});

Deno.test("namespacePolicy() takes a uid that is no proxy's and not root's, else the default and a warning", async (t) => {
  for (
    const [value, uid, warned] of [
      ["1000", 1_000, false],
      ["65535", 65_535, false],
      ["0", 10_001, true],
      ["65536", 10_001, true],
      ["21337", 10_001, true],
      ["-1", 10_001, true],
      ["1e3", 10_001, true],
      ["", 10_001, true],
    ] as const
  ) {
    await t.step(value || "empty", () => {
      const policy = policyOf({ [labels.runAsUser]: value });
      assert.equal(policy.runAsUser, uid);
      assert.deepEqual(reasons(policy), warned ? ["InvalidLabel"] : []);
    });
  }
});

Deno.test("namespacePolicy() is the strictest where no tenant namespace vouches for the consumer", async (t) => {
  const relaxed = {
    [labels.applyNetpol]: "false",
    [labels.podProfile]: "observed",
    [labels.runAsUser]: "1000",
    [labels.applyWebhook]: "false",
  };
  const spoofed = { [liqo.tenantNamespace]: "true", [liqo.remoteClusterId]: "bank" };
  const table: [string, NamespaceFacts, NamespaceFacts | undefined, string, RegExp][] = [
    ["the tenant is another's", offloaded(relaxed), tenant(spoofed), "bank", /leads to the tenant namespace of "bank"/],
    ["no tenant namespace", offloaded(relaxed), undefined, "", /leads to no tenant namespace/],
    [
      "a namespace that is no tenant's",
      offloaded(relaxed),
      tenant({ [liqo.remoteClusterId]: "pharma" }),
      "",
      /leads to no tenant/,
    ],
    ["no annotation", { ...offloaded(relaxed), namespaceMap: undefined }, undefined, "", /it lacks the annotation/],
  ];
  for (const [name, facts, of, consumer, message] of table) {
    await t.step(name, () => {
      const policy = namespacePolicy(facts, of, settings);
      assert.deepEqual([policy.consumer, policy.claimedConsumer], [consumer, "pharma"]);
      assert.deepEqual([policy.netpol, policy.profile, policy.runAsUser], [true, "restricted", 10_001]);
      assert.equal(policy.proxy, false, "this opt-out is the API server's");
      assert.deepEqual(reasons(policy), ["ConsumerMismatch"]);
      assert.match(policy.findings[0]!.message, message);
    });
  }
});

Deno.test("namespacePolicy() believes a tenant namespace of Liqo v0", () => {
  const policy = policyOf({}, tenant({ [liqo.tenantNamespaceV0]: "true", [liqo.clusterIdV0]: "pharma" }));
  assert.deepEqual([policy.consumer, policy.claimedConsumer, policy.findings], ["pharma", undefined, []]);
});

Deno.test("namespacePolicy() warns of a Pod Security level that refuses our init container, where it matters", async (t) => {
  for (
    const [more, warned] of [
      [{ [labels.podSecurityEnforce]: "privileged" }, false],
      [{ [labels.podSecurityEnforce]: "baseline" }, true],
      [{ [labels.podSecurityEnforce]: "restricted" }, true],
      [{ [labels.podSecurityEnforce]: "baseline", [labels.applyWebhook]: "false" }, false],
    ] as [Record<string, string>, boolean][]
  ) {
    await t.step(JSON.stringify(more), () => {
      assert.deepEqual(reasons(policyOf(more)), warned ? ["PodSecurityRefusesInjection"] : []);
    });
  }
});

Deno.test("namespacePolicy() hands on what the provider allows everywhere", () => {
  const allowed = { runtimeClasses: ["gvisor"], priorityClasses: ["low"], extendedResources: ["nvidia.com/gpu"] };
  const policy = namespacePolicy(offloaded(), undefined, { ...settings, ...allowed });
  assert.deepEqual(
    [policy.runtimeClasses, policy.priorityClasses, policy.extendedResources],
    [["gvisor"], ["low"], ["nvidia.com/gpu"]],
  );
});
