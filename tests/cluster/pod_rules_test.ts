import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { NamespacePolicy, Profile } from "../../lib/core/namespace_policy.ts";
import { labels } from "../../lib/core/names.ts";
import { type Case, cases } from "../core/rules/cases.ts";
import { testPod } from "../support/pods.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { consumer, LIQO, Liqo, liqoPod } from "./liqo.ts";
import { imageFlags, PodJudge } from "./pod_judge.ts";
import { ADMINISTRATOR } from "./policies.ts";

// Every case of every rule, as the unit tests have them, at a real API server: what is refused there, what passes, and by whom.

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
/** What cases allow that ask for something by name; flags of the replica. */
const allowed: Partial<NamespacePolicy> = {
  priorityClasses: ["low"],
  runtimeClasses: ["gvisor"],
  extendedResources: ["nvidia.com/gpu"],
};
const flags = [
  "--default-run-as-user=10777",
  "--priority-classes=low",
  "--runtime-classes=gvisor",
  "--extended-resources=nvidia.com/gpu",
];
const dataSpacer = await startDataSpacer(cluster, { flags: [...imageFlags, ...flags] });
await liqo.createTenantNamespace();
const judge = await PodJudge.create(cluster);
await cluster.call("/apis/scheduling.k8s.io/v1/priorityclasses", { body: { metadata: { name: "low" }, value: 1 } });
await cluster.call("/apis/node.k8s.io/v1/runtimeclasses", { body: { metadata: { name: "gvisor" }, handler: "runsc" } });

/** The cluster's administrator by name: the API server judges rights by that. */
const ADMINISTRATOR_USER = { as: "admin", asGroups: ["system:masters"] };

const NAMESPACES: Record<string, Profile> = {
  "trial-pharma": "restricted",
  "unknown-pharma": "restricted",
  "root-pharma": "root",
  "observed-pharma": "observed",
};
for (const [name, profile] of Object.entries(NAMESPACES)) {
  const value = name === "unknown-pharma" ? "privileged" : profile;
  await liqo.createOffloadedNamespace(name, { labels: { [labels.podProfile]: value } });
  const answer = await liqo.createPod(await liqoPod(name, "first"), { dryRun: true, retryMs: 10_000 });
  assert.ok(answer.created, JSON.stringify(answer));
}

/** What some releases of the API server do not know and drop before anybody sees it, or do not take. */
const UNKNOWN_TO_SOME =
  /ulimits|cgroupOptions|restartPolicyRules|podCertificate|futureVolume|fileKeyRef|resourceClaims|claims/;

const fieldOf = (line: string): string => line.slice(0, line.indexOf(": "));

/** A case's pod under a name of its own. */
function podOf({ pod }: Case, namespace: string): Pod {
  return { ...pod, metadata: { ...pod.metadata, name: "case", namespace } };
}

for (const [namespace, profile] of Object.entries(NAMESPACES)) {
  for (const [who, as] of Object.entries({ Liqo: LIQO, "the administrator": ADMINISTRATOR })) {
    if (who !== "Liqo" && namespace !== "trial-pharma") continue;
    Deno.test(`in ${namespace}, profile ${profile}, the API server refuses of ${who} what the rules refuse, and takes the rest`, async (t) => {
      const options = { namespace, as, policy: { ...allowed, profile }, dryRun: true };
      for (const [topic, table] of Object.entries(cases)) {
        const seen = { refused: 0, admitted: 0 };
        await t.step(topic, async (t) => {
          for (const one of table) {
            await t.step(one.name, async () => {
              const { outcome, message } = await judge.judge(podOf(one, namespace), options);
              const refused = one.passesIn?.includes(profile) ? [] : one.refused;
              if (outcome !== "invalid") seen[outcome]++;
              if (outcome === "refused") {
                assert.notEqual(refused.length, 0, message);
                for (const line of refused) assert.ok(message.includes(`${fieldOf(line)}: must `), message);
              } else if (outcome === "admitted" && refused.length > 0) {
                assert.match(JSON.stringify(one.pod), UNKNOWN_TO_SOME, "it was created");
              }
            });
          }
          assert.ok(seen.refused > 0 && seen.admitted > 0, JSON.stringify(seen));
        });
      }
    });
  }
}

Deno.test("a silent container gets the user of the flag, or of its namespace's label", async () => {
  await liqo.createOffloadedNamespace("user-pharma", { labels: { [labels.runAsUser]: "4711" } });
  const silent: Case = { name: "silent", pod: testPod(), refused: [] };
  for (const [namespace, uid] of Object.entries({ "trial-pharma": 10_777, "user-pharma": 4_711 })) {
    const answer = await liqo.createPod(podOf(silent, namespace), { dryRun: true, retryMs: 10_000 });
    assert.ok(answer.created, JSON.stringify(answer));
    assert.deepEqual(answer.pod.spec!.containers.map(({ securityContext }) => securityContext?.runAsUser), [uid]);
  }
});

/** What keeps offloaded pods in check, and may be touched by the provider alone; group, resource and one of its names. */
const KEPT = [
  ["admissionregistration.k8s.io", "mutatingwebhookconfigurations", "data-spacer"],
  ["admissionregistration.k8s.io", "validatingadmissionpolicies", "pod-creation.data-spacer.provider"],
  ["admissionregistration.k8s.io", "validatingadmissionpolicybindings", "pod-creation.data-spacer.provider"],
  ["networking.k8s.io", "networkpolicies", "data-space-network-policy", "trial-pharma"],
  ["rbac.authorization.k8s.io", "clusterroles", "data-spacer-exception"],
  ["rbac.authorization.k8s.io", "clusterrolebindings", "x"],
  ["", "configmaps", "data-spacer-contract", "data-spacer"],
  ["", "secrets", "data-spacer-ca", "data-spacer"],
  ["apps", "deployments", "data-spacer", "data-spacer"],
  ["coordination.k8s.io", "leases", "data-spacer", "data-spacer"],
  ["data-spacer.provider", "exceptions", "pod-creation", "trial-pharma"],
] as const;

Deno.test("neither the consumer nor Liqo may touch what keeps offloaded pods in check", async (t) => {
  for (const [group, resource, name, namespace] of KEPT) {
    await t.step(resource, async () => {
      for (const [who, as] of Object.entries({ "the consumer": consumer(), Liqo: LIQO })) {
        for (const verb of ["create", "update", "patch", "delete", "deletecollection", "use", "bind", "escalate"]) {
          const what = { verb, group, resource, name, ...(namespace === undefined ? {} : { namespace }) };
          assert.equal(await cluster.allows(as, what), false, `${who} may ${verb}`);
          assert.equal(await cluster.allows(ADMINISTRATOR_USER, what), true, `the administrator may not ${verb}`);
        }
      }
    });
  }
});

Deno.test("without a replica no pod is created, neither of those that the rules refuse nor of those that pass, whoever asks", async (t) => {
  await dataSpacer.replica.kill();
  const identities = { Liqo: LIQO, "the administrator": ADMINISTRATOR, "the consumer": consumer() };
  for (const [topic, table] of Object.entries(cases)) {
    const some = [table.find(({ refused }) => refused.length > 0)!, table.find(({ refused }) => refused.length === 0)!];
    for (const [who, as] of Object.entries(identities)) {
      for (const one of some) {
        await t.step(`${topic}: ${one.name}, of ${who}`, async () => {
          const request = { ...as, body: podOf(one, "trial-pharma") };
          const { status, body } = await cluster.request<{ message: string }>(
            "/api/v1/namespaces/trial-pharma/pods",
            request,
          );
          assert.ok(status >= 400, "it was created");
          assert.match(
            body.message,
            who === "the consumer" ? /cannot create resource "pods"/ : /pod-rules|^Pod |service account/,
          );
        });
      }
    }
  }
  const { items } = await cluster.call<{ items: Pod[] }>("/api/v1/namespaces/trial-pharma/pods");
  assert.deepEqual(items, []);
});
