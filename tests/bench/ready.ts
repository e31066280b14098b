import type { ContainerStatus, Pod } from "kubernetes-types/core/v1.d.ts";
import { labels } from "../../lib/core/names.ts";
import { createPod, startInstallation } from "../cluster/node/installation.ts";
import type { Node } from "../cluster/node/node.ts";
import { offloadedPod } from "../cluster/node/offloaded.ts";
import { until } from "../cluster/processes.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { median, spread } from "./statistics.ts";

/** Offloaded namespaces: one whose pods are injected, and one that the provider has taken out. */
const SPACES = { injected: "ready-pharma", bare: "bare-pharma" } as const;

/** What is seen of a pod on its way, in this order; a bare pod has only the last three. */
const STAGES = ["init runs", "init done", "proxy runs", "proxy started", "main runs", "ready"] as const;
type Stage = typeof STAGES[number];

/** How often a pod is looked at, ms. */
const EVERY = 10;

/**
 * From the creation of a pod to its readiness on a real node, with injection and without, in turn. The pod is one container without
 * probes, so what is added is ours and the kubelet's.
 */
export async function benchReady({ quick, log }: BenchContext): Promise<Figure[]> {
  await using installation = await startInstallation({ log });
  const { node, liqo } = installation;
  await liqo.createOffloadedNamespace(SPACES.injected);
  const optOut = { [labels.applyWebhook]: "false", [labels.applyNetpol]: "false" };
  await liqo.createOffloadedNamespace(SPACES.bare, { labels: optOut });

  const runs = { injected: [] as Map<Stage, number>[], bare: [] as Map<Stage, number>[] };
  for (let round = -1; round < (quick ? 2 : 15); round++) {
    for (const [kind, namespace] of Object.entries(SPACES)) {
      const pod = offloadedPod(`pod-${round + 1}`, "exec sleep 3600", { namespace });
      const start = performance.now();
      await createPod(liqo, pod, 30_000);
      const stages = await follow(node, pod, start);
      log(`${kind}: ${[...stages].map(([stage, ms]) => `${stage} ${ms.toFixed(0)}`).join(", ")} ms`);
      if (round >= 0) runs[kind as keyof typeof runs].push(stages);
      await node.call(`/api/v1/namespaces/${namespace}/pods/${pod.metadata!.name}`, { method: "DELETE" });
    }
  }
  const added = runs.injected.map((stages, i) => stages.get("ready")! - runs.bare[i]!.get("ready")!);
  const steps = STAGES.map((stage, i) => {
    const since = runs.injected.map((stages) => stages.get(stage)! - (i === 0 ? 0 : stages.get(STAGES[i - 1]!)!));
    return `${stage} ${median(since).toFixed(0)}`;
  });
  return [
    {
      name: "Creation to ready, added by injection",
      target: "<= 1.5 s",
      measured: `${spread(added, 0)} ms`,
      reached: median(added) <= 1_500,
    },
    { name: "Without injection", target: "", measured: `${spread(runs.bare.map((run) => run.get("ready")!), 0)} ms` },
    { name: "With injection, step by step", target: "", measured: `${steps.join(", ")} ms` },
  ];
}

/** When a pod was first seen to have come so far, ms since `start`. */
async function follow(node: Node, { metadata }: Pod, start: number): Promise<Map<Stage, number>> {
  const path = `/api/v1/namespaces/${metadata!.namespace}/pods/${metadata!.name}`;
  const seen = new Map<Stage, number>();
  await until(async () => {
    const pod = await node.call<Pod>(path);
    const now = performance.now() - start;
    for (const stage of STAGES) if (!seen.has(stage) && reached(pod, stage)) seen.set(stage, now);
    return seen.has("ready") || undefined;
  }, { ms: 60_000, what: `ready pod ${metadata!.name}`, every: EVERY });
  return seen;
}

function reached({ spec, status }: Pod, stage: Stage): boolean {
  const [init, proxy] = spec?.initContainers ?? [];
  const of = (name: string | undefined): ContainerStatus | undefined =>
    [...status?.initContainerStatuses ?? [], ...status?.containerStatuses ?? []].find((found) => found.name === name);
  switch (stage) {
    case "init runs":
      return of(init?.name)?.state?.running !== undefined || of(init?.name)?.state?.terminated !== undefined;
    case "init done":
      return of(init?.name)?.state?.terminated !== undefined;
    case "proxy runs":
      return of(proxy?.name)?.state?.running !== undefined;
    case "proxy started":
      return of(proxy?.name)?.started === true;
    case "main runs":
      return of("main")?.state?.running !== undefined;
    case "ready":
      return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  }
}
