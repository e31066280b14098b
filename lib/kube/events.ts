import { createHash } from "node:crypto";
import type { KubeClient } from "./client.ts";
import { isAlreadyExists, isNotFound, isRetryable } from "./errors.ts";
import type { Logger } from "./logger.ts";
import { resources } from "./resources.ts";
import { Backoff, type Sleep, sleep as realSleep } from "./time.ts";

/** Something that an operator should see with `kubectl get events`. */
export interface Occurrence {
  /** The cluster-scoped object that it is about: a Namespace, if no kind is given. */
  regarding: { name: string; uid: string; apiVersion?: string; kind?: string };
  /** Warning: the operator must act. */
  type: "Normal" | "Warning";
  /** One word in UpperCamelCase. */
  reason: string;
  message: string;
  /** What makes it the same as an earlier one of this object and reason; the message, if absent. */
  key?: string;
}

/** What {@linkcode EventRecorder} needs. */
export interface EventRecorderOptions {
  client: Pick<KubeClient, "create" | "get" | "mergePatch">;
  /** Who reports, such as `data-spacer`. */
  component: string;
  /** Which of them: the pod's name. */
  instance: string;
  log: Logger;
  /** Milliseconds since 1970. */
  now?: () => number;
  sleep?: Sleep;
  random?: () => number;
  /** The same again within this time after the last is counted in one Event; 10 minutes if absent. */
  windowMs?: number;
  /** Series remembered at once; what would be one more is dropped. 1,000 if absent. */
  maxSeries?: number;
  /** Pause between two writes, in milliseconds; 100 if absent. */
  pauseMs?: number;
}

/** Events of cluster-scoped objects live here (the API server's validation), out of the reach of tenants. */
const NAMESPACE = "default";

/** Bytes of a message, as in events.k8s.io/v1. */
const MAX_MESSAGE_BYTES = 1024;

/** A series that could not be written that often is given up. */
const MAX_ATTEMPTS = 5;

/** Occurrences that are the same, and the one Event that counts them. */
interface Series {
  name: string;
  last: Occurrence;
  count: number;
  firstMs: number;
  lastMs: number;
  written: boolean;
  attempts: number;
}

/**
 * Reports to the API server as Events. Reporting never waits and never throws: the same again is counted in one Event,
 * writes are paced, and of a flood what does not fit is dropped and counted in the log.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #now: () => number;
  readonly #sleep: Sleep;
  readonly #windowMs: number;
  readonly #maxSeries: number;
  readonly #series = new Map<string, Series>(); // least recent first
  readonly #unwritten = new Set<string>();
  #wake: () => void = () => {};
  #writing: Promise<unknown> = Promise.resolve();
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#sleep = options.sleep ?? realSleep;
    this.#windowMs = options.windowMs ?? 600_000;
    this.#maxSeries = options.maxSeries ?? 1_000;
  }

  /** Notes that something occurred; {@linkcode EventRecorder.run} writes it. */
  record(occurrence: Occurrence): void {
    const { regarding, reason, message, key = message } = occurrence;
    const id = JSON.stringify([regarding.name, regarding.uid, reason, key]);
    const nowMs = this.#now();
    let series = this.#series.get(id);
    if (series !== undefined && nowMs - series.lastMs <= this.#windowMs) {
      series.count++;
      series.lastMs = nowMs;
      series.last = occurrence;
      this.#series.delete(id); // and to the end, as the most recent
    } else {
      if (series === undefined && !this.#makeRoom()) {
        this.#dropped++;
        return;
      }
      const name = nameOf(occurrence, id, Math.floor(nowMs / this.#windowMs));
      series = { name, last: occurrence, count: 1, firstMs: nowMs, lastMs: nowMs, written: false, attempts: 0 };
    }
    this.#series.set(id, series);
    this.#unwritten.add(id);
    this.#wake();
  }

  /** Writes what was recorded, one after the other, until `signal` fires; it never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { pauseMs = 100, random = Math.random } = this.#options;
    const backoff = new Backoff({ baseMs: 1_000, maxMs: 30_000, random });
    const wake = (): void => this.#wake();
    signal.addEventListener("abort", wake);
    while (!signal.aborted) {
      if (this.#unwritten.size === 0) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      // Not with `signal`: whether a write that was cut short took place nobody knows, and it would be counted twice.
      const written = await this.#writeNext();
      if (written) backoff.reset();
      await this.#sleep(written ? pauseMs : backoff.nextMs(), signal).catch(() => {}); // the loop sees the signal
    }
    signal.removeEventListener("abort", wake);
  }

  /** Writes what is left without pauses, after {@linkcode EventRecorder.run} was told to end. */
  async flush(signal: AbortSignal): Promise<void> {
    await this.#writing.catch(() => {}); // reported already
    for (let left = this.#unwritten.size; left > 0 && !signal.aborted; left--) await this.#writeNext(signal);
    if (this.#unwritten.size > 0) this.#options.log.warn("Events lost", { count: this.#unwritten.size });
  }

  /** False if it failed. */
  async #writeNext(signal?: AbortSignal): Promise<boolean> {
    const [id] = this.#unwritten;
    const series = id === undefined ? undefined : this.#series.get(id);
    if (id === undefined || series === undefined) return true;
    const { log } = this.#options;
    this.#unwritten.delete(id);
    if (this.#dropped > 0) {
      log.warn("Events dropped", { count: this.#dropped });
      this.#dropped = 0;
    }
    try {
      await (this.#writing = this.#write(series, signal));
      series.attempts = 0;
      return true;
    } catch (error) {
      const { name, last: { reason }, attempts } = series;
      log.warn("Cannot write Event", { name, reason, attempts: attempts + 1, error });
      series.attempts++;
      if (isRetryable(error) && series.attempts < MAX_ATTEMPTS) this.#unwritten.add(id);
      else series.attempts = 0;
      return false;
    }
  }

  async #write(series: Series, signal: AbortSignal | undefined): Promise<void> {
    const { client } = this.#options;
    const address = { namespace: NAMESPACE, name: series.name, signal };
    if (!series.written) {
      try {
        await client.create(resources.Event, this.#event(series), { signal });
        series.written = true;
        return;
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
        // Of another replica, or of ours before a restart.
        series.count += (await client.get(resources.Event, address)).count ?? 0;
        series.written = true;
      }
    }
    try {
      const { count, lastTimestamp, message } = this.#event(series);
      await client.mergePatch(resources.Event, { count, lastTimestamp, message }, address);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create(resources.Event, this.#event(series), { signal }); // the API server forgets Events in an hour
    }
  }

  #event(series: Series) {
    const { component, instance } = this.#options;
    const { regarding: { apiVersion = "v1", kind = "Namespace", name, uid }, type, reason, message } = series.last;
    return {
      apiVersion: "v1" as const,
      kind: "Event" as const,
      metadata: { namespace: NAMESPACE, name: series.name },
      involvedObject: { apiVersion, kind, name, uid },
      type,
      reason,
      message: clean(message),
      count: series.count,
      firstTimestamp: time(series.firstMs),
      lastTimestamp: time(series.lastMs),
      source: { component },
      reportingComponent: component,
      reportingInstance: instance,
    };
  }

  /** Forgets the least recent series that is written; false if there is none. */
  #makeRoom(): boolean {
    if (this.#series.size < this.#maxSeries) return true;
    if (this.#unwritten.size >= this.#series.size) return false;
    for (const id of this.#series.keys()) {
      if (!this.#unwritten.has(id)) return this.#series.delete(id);
    }
    return false;
  }
}

/** The same for the same series in every replica, so that they count in one Event. */
function nameOf({ regarding }: Occurrence, id: string, window: number): string {
  const hash = createHash("sha256").update(`${id} ${window}`).digest("hex").slice(0, 16);
  return `${regarding.name}.${hash}`;
}

/** A message may quote what a consumer wrote: no control characters for the terminal that shows it. */
function clean(message: string): string {
  const bytes = new TextEncoder().encode(message.replace(/\p{Cc}+/gu, " "));
  if (bytes.length <= MAX_MESSAGE_BYTES) return new TextDecoder().decode(bytes);
  const cut = new TextDecoder().decode(bytes.subarray(0, MAX_MESSAGE_BYTES - 3), { stream: true }); // no half character
  return `${cut}…`;
}

function time(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+/, "");
}
