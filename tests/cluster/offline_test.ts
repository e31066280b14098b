import assert from "node:assert/strict";
import type { ConfigMap, Pod } from "kubernetes-types/core/v1.d.ts";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.d.ts";
import { parseAllDocuments } from "yaml";
import { run as inject } from "../../lib/cli/inject.ts";
import { run as render } from "../../lib/cli/render.ts";
import { runVerb } from "../support/run_verb.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
await liqo.createTenantNamespace("pharma");
await liqo.createOffloadedNamespace("trial-pharma", { labels: { "data-space/run-as-user": "4711" } });
const { replica } = await startDataSpacer(cluster);
/** The resolvers of the replicas under test. */
const RESOLVERS = "--resolvers=10.96.0.10";

/** What kubectl prints of the namespaces: a List. */
async function namespaces(): Promise<string> {
  const { stdout } = await cluster.kubectl(["get", "namespaces", "-o", "yaml", "trial-pharma", "liqo-tenant-pharma"]);
  return stdout;
}

async function created(pod: Pod): Promise<Pod> {
  const answer = await liqo.createPod(pod, { retryMs: 10_000 });
  assert.ok(answer.created, JSON.stringify(answer));
  return answer.pod;
}

Deno.test("a pod that inject has made is stored as the webhook makes it, and the webhook leaves it as it is", async () => {
  const direct = await created(await liqoPod("trial-pharma", "direct"));
  const pod = JSON.stringify(await liqoPod("trial-pharma", "offline"));
  const files = { "-": `${await namespaces()}---\n${pod}\n` };
  const { code, stdout, stderr } = await runVerb(inject, ["-f", "-", RESOLVERS], { files });
  assert.deepEqual([code, stderr], [0, ""]);
  const made = parseAllDocuments(stdout).map((document) => document.toJS()).find(({ kind }) => kind === "Pod");

  const unchanged = () => replica.metric("data_spacer_admissions_total", { verdict: "allow" });
  const before = await unchanged();
  const offline = await created(made);
  assert.equal(await unchanged(), before + 1);
  assert.deepEqual(offline.spec, direct.spec);
  assert.deepEqual(offline.metadata!.labels, direct.metadata!.labels);
  assert.equal(offline.spec!.containers[0]!.securityContext!.runAsUser, 4711);
});

Deno.test("what inject refuses the webhook refuses, for the same reasons", async () => {
  const pod = await liqoPod("trial-pharma", "hostile");
  Object.assign(pod.spec!, { hostIPC: true, hostPID: true });
  pod.spec!.containers[0]!.securityContext = { privileged: true, runAsUser: 0 };
  const { code, stdout, stderr } = await runVerb(inject, ["-f", "-", RESOLVERS], {
    files: { "-": JSON.stringify(pod) },
  });
  assert.deepEqual([code, stdout], [1, ""]);
  const answer = await liqo.createPod(pod);
  assert.ok(!answer.created);
  const reasons = stderr.trimEnd().split("\n").map((line) => line.replace(/^Pod\/hostile: /, ""));
  assert.ok(reasons.length >= 4);
  assert.ok(answer.message.endsWith(reasons.join("; ")), `${answer.message}\n${stderr}`);
});

Deno.test("render prints what the controller keeps", async () => {
  const { code, stdout, stderr } = await runVerb(render, ["-f", "-", RESOLVERS], {
    files: { "-": await namespaces() },
  });
  assert.deepEqual([code, stderr], [0, ""]);
  const [configMap, networkPolicy, ...more] = parseAllDocuments(stdout).map((document) => document.toJS());
  assert.deepEqual(more, []);
  const path = "namespaces/trial-pharma";
  const keptMap = await cluster.call<ConfigMap>(`/api/v1/${path}/configmaps/${configMap.metadata.name}`);
  const keptPolicy = await cluster.call<NetworkPolicy>(
    `/apis/networking.k8s.io/v1/${path}/networkpolicies/${networkPolicy.metadata.name}`,
  );
  assert.deepEqual([keptMap.data, keptPolicy.spec], [configMap.data, networkPolicy.spec]);
  assert.deepEqual(keptMap.metadata!.labels, configMap.metadata.labels);
});
