import type { Log } from "../ops/log.ts";
import { together } from "./together.ts";
import { WorkQueue } from "./work_queue.ts";

/** Something whose changes a controller follows. */
export interface KeySource {
  /**
   * Calls `listener` for each key that exists now, then for each one that changes or goes, until the returned function
   * is called. A new leader knows nothing: it is the replay that brings every key into its queue.
   */
  subscribe(listener: (key: string) => void): () => void;
}

/** What a reconciler may ask for: another run after a while, though nothing changes. */
export interface Requeue {
  /** From the end of this run, ms. */
  requeueAfterMs?: number;
}

/** Brings what `key` names to its desired state. Reads the state itself: a key is a name, never an event. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<Requeue | void>;

/** How a run ended. Label of the metric, so the list is here. */
export const RESULTS = ["success", "requeue", "error", "terminal"] as const;

/** One of {@linkcode RESULTS}. */
export type Result = typeof RESULTS[number];

/** A failure that no retry mends; the next change of its key tries again. */
export class TerminalError extends Error {
  override name = "TerminalError";
}

/** One controller. */
export interface ControllerOptions {
  /** For logs and metrics. */
  name: string;
  /** Where its keys come from. */
  sources: KeySource[];
  /** Does the work for one key. */
  reconcile: Reconcile;
  /** How many keys are worked on at the same time. */
  workers: number;
  log: Log;
  /** Kept over several terms of leadership by whoever reads its stats; it is empty between them. */
  queue?: WorkQueue;
  /** Told of every run that was not cut short by the end of the term. */
  onResult?: (result: Result) => void;
}

/**
 * Runs a controller until the signal is aborted, then waits for the runs under way, which have the same signal.
 * May be started again afterwards.
 *
 * @throws what a source, the log or `onResult` threw; a `reconcile` that throws is retried.
 */
export async function runController(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const { sources, workers, queue = new WorkQueue() } = options;
  const unsubscribe: (() => void)[] = [];
  try {
    for (const source of sources) unsubscribe.push(source.subscribe((key) => queue.add(key)));
    const work = (running: AbortSignal) => runWorker(options, queue, running);
    await together(Array.from({ length: workers }, () => work), signal);
  } finally {
    for (const end of unsubscribe) end();
    queue.clear();
  }
}

async function runWorker(options: ControllerOptions, queue: WorkQueue, signal: AbortSignal): Promise<void> {
  for await (const key of queue.take(signal)) {
    try {
      const outcome = await attempt(options.reconcile, key, signal);
      if (signal.aborted && outcome.result !== "success") return;
      settle(options, queue, key, outcome);
    } finally {
      queue.done(key);
    }
  }
}

/** A run's result with what its retry needs. */
type Outcome =
  | { result: "success" }
  | { result: "requeue"; afterMs: number }
  | { result: "error" | "terminal"; error: unknown };

async function attempt(reconcile: Reconcile, key: string, signal: AbortSignal): Promise<Outcome> {
  try {
    const { requeueAfterMs } = await reconcile(key, signal) ?? {};
    return requeueAfterMs === undefined ? { result: "success" } : { result: "requeue", afterMs: requeueAfterMs };
  } catch (error) {
    return { result: error instanceof TerminalError ? "terminal" : "error", error };
  }
}

/** The retry table, that of controller-runtime. */
function settle({ name, log, onResult }: ControllerOptions, queue: WorkQueue, key: string, outcome: Outcome): void {
  onResult?.(outcome.result);
  switch (outcome.result) {
    case "error": {
      const retryInMs = Math.round(queue.retry(key));
      log.warn("Cannot reconcile yet", { controller: name, key, retryInMs, error: outcome.error });
      break;
    }
    case "terminal":
      queue.forget(key);
      log.error("Cannot reconcile until it changes", { controller: name, key, error: outcome.error });
      break;
    case "requeue":
      queue.forget(key);
      queue.add(key, outcome.afterMs);
      break;
    case "success":
      queue.forget(key);
      break;
  }
}
