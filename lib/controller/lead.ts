import type { Because, ObjectTemplates, Owned, OwnedKind } from "../core/desired_state.ts";
import type { Settings } from "../core/settings.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Log } from "../ops/log.ts";
import type { Contract } from "../state/contract.ts";
import type { NamespaceStore } from "../state/namespaces.ts";
import type { Source } from "../state/source.ts";
import { type KeySource, type Reconcile, type Result, runController } from "./controller.ts";
import { createPace } from "./pace.ts";
import { reconcileNamespace } from "./reconcile_namespace.ts";
import { reconcilePods } from "./reconcile_pods.ts";
import { Reminders } from "./reminders.ts";
import type { Report } from "./report.ts";
import { Tampering } from "./tampering.ts";
import { together } from "./together.ts";
import type { WorkQueue } from "./work_queue.ts";
import { Written } from "./written.ts";

/** Names of the controllers, as the label of their metrics. */
export const controllerNames = ["namespaces", "pods", "contract"] as const;

/** An element of `controllerNames`. */
export type ControllerName = (typeof controllerNames)[number];

/** What the leader needs. */
export interface LeadDeps {
  client: KubeClient;
  settings: Settings;
  templates: ObjectTemplates;
  store: NamespaceStore;
  contract: Pick<Contract, "injection" | "repair" | "subscribe">;
  owned: Readonly<Record<OwnedKind, Source<Owned>>>;
  queues: Readonly<Record<ControllerName, WorkQueue>>;
  report: Report;
  log: Log;
  /** Counts a reconciliation. */
  result(controller: ControllerName, result: Result): void;
  /** Counts a change of one of our objects. */
  done(kind: OwnedKind, because: Because): void;
  /** Tells how many pods run without the proxy in all namespaces. */
  uninjected(pods: number): void;
}

/** Pods that are evicted or deleted in a second, at most. */
const RECREATIONS_PER_SECOND = 2;

/** Namespaces whose pods are listed in a second, at most: thousands of them are no hurry. */
const LISTS_PER_SECOND = 20;

/** Namespaces whose pods are looked after at the same time. */
const POD_WORKERS = 2;

/** The work of the leader: all controllers, until the signal is aborted. What it knows beyond the caches ends with its term. */
export async function lead(deps: LeadDeps, signal: AbortSignal): Promise<void> {
  const { client, settings, store, contract, report, log, queues } = deps;
  const now = () => performance.now();
  const written = new Written(deps.owned, now);
  const unfollow = written.follow();
  const counts = new Map<string, number>();
  const namespaces = reconcileNamespace({
    client,
    store,
    templates: deps.templates,
    earlier: () => contract.injection().accepted.flatMap(({ source }) => Object.values(source.objects)),
    written,
    tampering: new Tampering(now),
    reminders: new Reminders(now),
    report,
    done: deps.done,
  });
  const pods = reconcilePods({
    client,
    store,
    injection: () => contract.injection(),
    mode: settings.recreateUninjected,
    reminders: new Reminders(now),
    listPace: createPace(LISTS_PER_SECOND, now),
    recreatePace: createPace(RECREATIONS_PER_SECOND, now),
    now,
    report,
    uninjected: (namespace, count) => {
      if (count === 0) counts.delete(namespace);
      else counts.set(namespace, count);
      deps.uninjected([...counts.values()].reduce((sum, n) => sum + n, 0));
    },
  });
  const controller = (
    name: ControllerName,
    { source = store, reconcile, workers }: { source?: KeySource; reconcile: Reconcile; workers: number },
  ) =>
  (running: AbortSignal) =>
    runController({
      name,
      sources: [source],
      reconcile,
      workers,
      queue: queues[name],
      log,
      onResult: (result) => deps.result(name, result),
    }, running);
  try {
    // Not Promise.all: the Lease is given back when this ends, so nothing may go on then.
    await together([
      controller("namespaces", { reconcile: namespaces, workers: settings.workers }),
      controller("pods", { reconcile: pods, workers: POD_WORKERS }),
      controller("contract", { source: contract, reconcile: (_key, term) => contract.repair(term), workers: 1 }),
    ], signal);
  } finally {
    unfollow();
    deps.uninjected(0);
  }
}
