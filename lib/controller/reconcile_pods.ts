import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { Injection } from "../core/injection.ts";
import type { NamespacePolicy } from "../core/namespace_policy.ts";
import type { Finding, Reason } from "../core/reasons.ts";
import { isRunning, proxyOf } from "../core/running_pod.ts";
import type { Settings } from "../core/settings.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isNotFound, KubeError } from "../kube/errors.ts";
import { resources } from "../kube/resources.ts";
import type { NamespaceStore } from "../state/namespaces.ts";
import type { Reminders } from "./reminders.ts";

/** What looking after a namespace's pods needs. */
export interface ReconcilePodsDeps {
  client: Pick<KubeClient, "listAll" | "delete" | "createSubresource">;
  store: NamespaceStore;
  /** What is injected, and what is accepted besides. */
  injection: () => Injection;
  mode: Settings["recreateUninjected"];
  reminders: Reminders;
  /** Waits until the next namespace's pods may be listed. */
  listPace(signal: AbortSignal): Promise<void>;
  /** Waits until the next pod may be evicted or deleted. */
  recreatePace(signal: AbortSignal): Promise<void>;
  /** A clock in ms that never goes back. */
  now(): number;
  /** Says what an operator must know. */
  report(namespace: { name: string; uid: string }, finding: Finding): void;
  /** Notes how many pods of a namespace run without the proxy. */
  uninjected(namespace: string, pods: number): void;
}

/** How often pods are looked at where nothing else gives a reason to, ms: they get past the webhook only while it is not there. */
const LOOK_EVERY_MS = 300_000;

/** How soon to look again after pods were evicted or could not be, ms. */
const LOOK_AGAIN_MS = 15_000;

/** Pods that are named in one message; more are counted only. */
const NAMED = 5;

/** Labels that a Deployment or a StatefulSet or DaemonSet gives its pods: at the consumer a controller makes new ones. */
const CONTROLLED_BY = ["pod-template-hash", "controller-revision-hash"];

/** What is needed of a pod later: its consumer may have made it as large as etcd takes, and there may be many. */
function namesOf({ metadata: { name, uid, labels } = {} }: Pod): Pod {
  const metadata = { ...(name && { name }), ...(uid && { uid }), ...(labels && { labels }) };
  return { metadata };
}

/** Makes the reconciler that finds pods which run without the proxy, and has them made anew if the provider wants that. */
export function reconcilePods(
  deps: ReconcilePodsDeps,
): (name: string, signal: AbortSignal) => Promise<{ requeueAfterMs?: number }> {
  const nextLook = new Map<string, number>();

  return async (name, signal) => {
    const view = deps.store.get(name);
    if (view === undefined || !view.ready || view.policy.terminating) {
      deps.uninjected(name, 0);
      nextLook.delete(name);
      return {};
    }
    // Most changes of a namespace say nothing of its pods.
    const early = (nextLook.get(name) ?? 0) - deps.now();
    if (early > 0) return { requeueAfterMs: early };
    await deps.listPace(signal);
    const { none: pods, other } = await lookAtPods(view.policy, signal);
    deps.uninjected(name, pods.length);
    reportPods(view.policy, pods, "PodsUninjected", "without the proxy");
    reportPods(
      view.policy,
      other,
      "PodsWithOtherProxy",
      "with a proxy that neither this version nor the one before makes",
    );
    const recreating = deps.mode !== "none" && pods.length > 0;
    let left = pods.length;
    if (recreating) {
      for (const pod of pods) if (await recreate(view.policy, pod, signal)) deps.uninjected(name, --left);
    }
    const requeueAfterMs = recreating ? LOOK_AGAIN_MS : LOOK_EVERY_MS;
    nextLook.set(name, deps.now() + requeueAfterMs);
    return { requeueAfterMs };
  };

  /** Running pods that have no proxy, or one that is not ours. */
  async function lookAtPods(policy: NamespacePolicy, signal: AbortSignal): Promise<{ none: Pod[]; other: Pod[] }> {
    let found: { none: Pod[]; other: Pod[] } = { none: [], other: [] };
    for await (const part of deps.client.listAll(resources.Pod, { namespace: policy.name, signal })) {
      if (part.restarted) found = { none: [], other: [] };
      for (const pod of part.items.filter(isRunning)) {
        const proxy = proxyOf(pod, policy, deps.injection());
        if (proxy !== "ours") found[proxy].push(namesOf(pod));
      }
    }
    return found;
  }

  function reportPods(namespace: { name: string; uid: string }, pods: Pod[], reason: Reason, how: string): void {
    const names = pods.map((pod) => pod.metadata?.name ?? "").sort();
    const isDue = deps.reminders.isDue(`${reason} ${namespace.name}`, names.length > 0 ? names.join(" ") : undefined);
    if (!isDue) return;
    const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
    const some = names.length === 1 ? "1 pod runs" : `${names.length} pods run`;
    deps.report(namespace, { reason, message: `${some} ${how}: ${names.slice(0, NAMED).join(", ")}${more}` });
  }

  /** Whether the pod is on its way out. */
  async function recreate(namespace: { name: string; uid: string }, pod: Pod, signal: AbortSignal): Promise<boolean> {
    const { name, uid } = pod.metadata ?? {};
    if (name === undefined) return false;
    const controlled = CONTROLLED_BY.some((label) => pod.metadata?.labels?.[label] !== undefined);
    if (!controlled && deps.mode !== "all") return false;
    await deps.recreatePace(signal);
    const ref = { namespace: namespace.name, name };
    try {
      if (controlled) await evict(ref, uid, signal);
      // Liqo makes a pod anew under its name after a forced deletion only; a graceful one ends it for good (Liqo v1.2, seen).
      else await deps.client.delete(resources.Pod, { ...ref, uid, gracePeriodSeconds: 0, signal });
      const how = controlled ? "evicted" : "deleted";
      deps.report(namespace, { reason: "PodRecreated", message: `Pod "${name}" ran without the proxy: ${how} it` });
      return true;
    } catch (error) {
      if (isNotFound(error) || isConflict(error)) return true; // It went by itself.
      if (!(error instanceof KubeError) || (error.status !== 429 && error.status !== 403)) throw error;
      deps.report(namespace, { reason: "RecreationRefused", message: error.message });
      return false;
    }
  }

  function evict(
    ref: { namespace: string; name: string },
    uid: string | undefined,
    signal: AbortSignal,
  ): Promise<unknown> {
    const eviction = {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: ref,
      ...(uid === undefined ? {} : { deleteOptions: { preconditions: { uid } } }),
    };
    return deps.client.createSubresource(resources.Pod, eviction, { subresource: "eviction", signal });
  }
}
