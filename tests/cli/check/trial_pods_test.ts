import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { trialPods } from "../../../lib/cli/check/trial_pods.ts";
import { KubeError } from "../../../lib/kube/errors.ts";
import { brief, healthyCluster, injected, refused } from "./fake_cluster.ts";

Deno.test("check tries a pod in each offloaded namespace and stores none", async () => {
  const cluster = await healthyCluster();
  for (const name of ["b", "a"]) cluster.offload(name);
  cluster.offload("open", { "data-space/apply-webhook": "false" });
  cluster.offload("going");
  cluster.change("Namespace", "going", ({ metadata }) => metadata.deletionTimestamp = "2026-11-24T12:00:00Z");
  const tried: string[] = [];
  cluster.createPod = (pod) => {
    tried.push(pod.metadata!.namespace!);
    const { requests, limits } = pod.spec!.containers[0]!.resources!;
    assert.deepEqual(requests, limits);
    return pod.metadata?.namespace === "open" ? pod : injected(pod);
  };
  assert.deepEqual(brief(await cluster.run(trialPods)), [
    "ok: A pod is created and gets the proxy, in 3 namespaces (a, b, trial)",
    "ok: A pod is created as it is, since the namespace opts out of the proxy, in 1 namespace (open)",
  ]);
  assert.deepEqual(tried.sort(), ["a", "b", "open", "trial"]);
});

Deno.test("check names the cause where a pod is refused", async (t) => {
  const forbidden = (state: string) => refused(403, `pods "data-spacer-check-x" is forbidden: ${state}`);
  const table: [name: string, answer: (pod: Pod) => Pod | KubeError, expected: RegExp, remedy?: RegExp][] = [
    ["no proxy", (pod) => pod, /^fail: A pod is created, but without the proxy, in 1 namespace \(trial\)$/, /webhook/],
    [
      "Pod Security",
      () =>
        forbidden('violates PodSecurity "baseline:latest": non-default capabilities (container "data-space-init" …)'),
      /^fail: Pod Security "baseline:latest" refuses our init container, in 1 namespace/,
      /pod-security\.kubernetes\.io\/enforce=privileged/,
    ],
    [
      "a quota that is used up",
      () =>
        forbidden("exceeded quota: compute, requested: limits.cpu=310m, used: limits.cpu=0, limited: limits.cpu=100m"),
      /^fail: ResourceQuota "compute" is used up \(requested: limits\.cpu=310m, used: limits\.cpu=0, limited: limits\.cpu=100m\)/,
      /raise it/,
    ],
    [
      "a quota that asks for more",
      () =>
        forbidden("failed quota: disk: must specify limits.ephemeral-storage for: data-space-init,data-space-proxy"),
      /^fail: ResourceQuota "disk" asks of each container what the proxy does not have \(must specify limits\.ephemeral-storage/,
      /LimitRange/,
    ],
    [
      "a limit range",
      () => forbidden("maximum memory usage per Container is 100Mi, but limit is 192Mi"),
      /^fail: A LimitRange refuses the pod \(maximum memory usage per Container is 100Mi/,
      /--proxy-resources/,
    ],
    [
      "our webhook does not answer",
      () =>
        refused(
          500,
          'Internal error occurred: failed calling webhook "pod-rules.x": failed to call webhook: Post "https://…": EOF',
        ),
      /^fail: Webhook "pod-rules\.x" does not answer \(failed to call webhook/,
      /certificates/,
    ],
    [
      "a webhook says no",
      () => refused(403, 'admission webhook "pod-rules.x" denied the request: Namespace "trial" is not ready yet'),
      /^fail: Webhook "pod-rules\.x" refuses the pod \(Namespace "trial" is not ready yet\)/,
      /.+/,
    ],
    [
      "a new namespace",
      () => forbidden('error looking up service account trial/default: serviceaccount "default" not found'),
      /^warn: The ServiceAccount of pods is not there yet/,
      /again/,
    ],
    ["anything else", () => forbidden("no such luck"), /^fail: A pod is refused \(forbidden: no such luck\)/],
  ];
  for (const [name, answer, expected, remedy] of table) {
    await t.step(name, async () => {
      const cluster = await healthyCluster();
      cluster.createPod = (pod) => {
        const answered = answer(pod);
        if (answered instanceof KubeError) throw answered;
        return answered;
      };
      const [finding, ...more] = await cluster.run(trialPods);
      assert.deepEqual(more, []);
      assert.match(brief([finding!])[0]!, expected);
      if (remedy !== undefined) assert.match(finding!.remedy!, remedy);
    });
  }
});

Deno.test("check cannot tell where pods may not be created, and passes over a namespace that goes meanwhile", async () => {
  const cluster = await healthyCluster();
  cluster.forbidden.add("create pods");
  assert.deepEqual(brief(await cluster.run(trialPods)), [
    "warn: Cannot tell: you may not create pods, in 1 namespace (trial)",
  ]);
  cluster.forbidden.clear();
  cluster.createPod = () => {
    throw refused(403, "is being terminated", { causes: [{ reason: "NamespaceTerminating" }] });
  };
  assert.deepEqual(await cluster.run(trialPods), []);
});
