import type { WatchEvent } from "./calls.ts";
import type { KubeClient } from "./client.ts";
import { KubeError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import type { KubeObject, Resource } from "./resources.ts";
import { Interruption, judge, malformed, type RestartReason } from "./restart.ts";
import { Backoff, Deadline, type Sleep, sleep as realSleep } from "./time.ts";

/** What happened to a projection. `value` is the new one, or the last one of an object that has gone. */
export interface Change<T> {
  type: "added" | "updated" | "deleted";
  key: string;
  value: T;
  /** The one before, of an update. */
  old?: T;
}

/** What {@linkcode Informer} needs. */
export interface InformerOptions<T, O extends KubeObject> {
  client: Pick<KubeClient, "listAll" | "watch">;
  resource: Resource<O>;
  /** Absent: all namespaces. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** Objects asked for at a time; 250 if absent. They are parsed one by one as they arrive. */
  pageSize?: number;
  /** What to remember of an object; undefined: nothing. It must not keep the object, whose memory is the point. */
  project(object: O): T | undefined;
  /** The cache's key; `namespace/name`, or `name` where there is no namespace, if absent. */
  keyOf?(object: O): string;
  log: Logger;
  /** Monotonic milliseconds. */
  now?: () => number;
  sleep?: Sleep;
  random?: () => number;
  /** A watch that is silent this long, in milliseconds, is dropped; 150 s if absent: bookmarks come every minute. */
  stallMs?: number;
  /** For a metric. */
  onRestart?: (reason: RestartReason) => void;
}

/** A server ends a watch after minutes; one that ends it before this time must not be asked again at once. */
const SHORT_WATCH_MS = 1_000;

/**
 * A cache of projections of the objects of one kind, kept right by list and watch through every failure of server and
 * network. Whole objects are dropped at once.
 */
export class Informer<T, O extends KubeObject = KubeObject> {
  readonly #options: InformerOptions<T, O>;
  readonly #now: () => number;
  readonly #sleep: Sleep;
  readonly #random: () => number;
  readonly #entries = new Map<string, { value: T; version: string }>();
  readonly #handlers = new Set<(change: Change<T>) => void>();
  readonly #synced = Promise.withResolvers<void>();
  #hasSynced = false;
  /** Where the watch goes on; undefined: list first. */
  #version: string | undefined;
  /** The same version may mean another object, see {@linkcode RESTART_REASONS}. */
  #versionsInDoubt = false;

  constructor(options: InformerOptions<T, O>) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#sleep = options.sleep ?? realSleep;
    this.#random = options.random ?? Math.random;
  }

  /** Resolves when the first list is in the cache. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** The first list is in the cache. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** How many projections there are. */
  get size(): number {
    return this.#entries.size;
  }

  /** The projection of one object. */
  get(key: string): T | undefined {
    return this.#entries.get(key)?.value;
  }

  /** All projections. */
  *values(): Generator<T> {
    for (const { value } of this.#entries.values()) yield value;
  }

  /**
   * Calls `handler` for every change from now on, also for those that a list finds after a downtime; what is in the
   * cache already is not reported. A handler that throws is logged and called again the next time.
   * @returns a function that ends it.
   */
  subscribe(handler: (change: Change<T>) => void): () => void {
    this.#handlers.add(handler);
    return () => void this.#handlers.delete(handler);
  }

  /** Lists, watches, and begins again as needed, until `signal` fires; it never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, resource, onRestart } = this.#options;
    const backoff = new Backoff({ baseMs: 500, maxMs: 30_000, random: this.#random });
    while (!signal.aborted) {
      try {
        this.#version ??= await this.#list(signal);
        await this.#watch(this.#version, signal, backoff);
        this.#report(onRestart, "ended");
      } catch (error) {
        if (signal.aborted) return;
        const { restart, relist } = judge(error);
        if (relist) this.#version = undefined;
        if (restart === "stalled") this.#versionsInDoubt = true;
        const retryAfterMs = error instanceof KubeError ? error.retryAfterMs ?? 0 : 0;
        const waitMs = Math.max(backoff.nextMs(), retryAfterMs);
        const { kind } = resource;
        log.warn("Watch interrupted", { kind, reason: restart, relist, waitMs, failures: backoff.failures, error });
        this.#report(onRestart, restart);
        await this.#sleep(waitMs, signal).catch(() => {}); // the loop sees the signal
      }
    }
  }

  /** Makes the cache equal to the server's list; the version to watch from. */
  async #list(signal: AbortSignal): Promise<string> {
    const { client, resource, pageSize = 250 } = this.#options;
    const seen = new Set<string>();
    let version = "";
    for await (const part of client.listAll(resource, { ...this.#selection(signal), limit: pageSize })) {
      if (part.restarted) seen.clear();
      for (const object of part.items) {
        if (versionOf(object) === undefined) throw malformed("an object without metadata.resourceVersion");
        const key = this.#keyOf(object);
        seen.add(key);
        this.#put(key, object);
      }
      version = part.resourceVersion ?? version;
    }
    for (const key of this.#entries.keys()) {
      if (!seen.has(key)) this.#remove(key);
    }
    this.#options.log.debug("Listed", { kind: resource.kind, count: seen.size, resourceVersion: version });
    this.#versionsInDoubt = false;
    this.#hasSynced = true;
    this.#synced.resolve();
    return version;
  }

  /** Follows the changes after `version` until the server ends the watch. */
  async #watch(version: string, signal: AbortSignal, backoff: Backoff): Promise<void> {
    const { client, resource } = this.#options;
    using deadline = new Deadline(signal);
    const startedAt = this.#now();
    const life = { seenAt: startedAt };
    const guard = this.#abortWhenStalled(life, deadline);
    let healthy = false;
    try {
      const watch = client.watch(resource, {
        ...this.#selection(deadline.signal),
        resourceVersion: version,
        timeoutSeconds: Math.round(300 + this.#random() * 300), // spread, as client-go does
        onBytes: () => {
          life.seenAt = this.#now();
        },
      });
      for await (const event of watch) {
        this.#take(event);
        if (!healthy) backoff.reset();
        healthy = true;
      }
    } finally {
      deadline.abort();
      await guard;
    }
    if (this.#now() - startedAt < SHORT_WATCH_MS) {
      throw new Interruption("interrupted", false, "Cannot watch: the server ended the watch at once");
    }
    backoff.reset();
  }

  #take(event: WatchEvent<O>): void {
    const { type, object } = event;
    const version = versionOf(object);
    if (version === undefined) throw malformed("an event without metadata.resourceVersion");
    switch (type) {
      case "ADDED":
      case "MODIFIED":
        this.#put(this.#keyOf(object), object);
        break;
      case "DELETED":
        this.#remove(this.#keyOf(object));
        break;
      case "BOOKMARK":
        break;
      default:
        throw malformed(`an event of type ${JSON.stringify(type)}`);
    }
    this.#version = version;
  }

  async #abortWhenStalled(life: { seenAt: number }, deadline: Deadline): Promise<void> {
    const { stallMs = 150_000 } = this.#options;
    while (!deadline.signal.aborted) {
      const quietMs = this.#now() - life.seenAt;
      if (quietMs >= stallMs) {
        return deadline.abort(new Interruption("stalled", true, `Cannot watch: nothing arrived for ${stallMs} ms`));
      }
      await this.#sleep(stallMs - quietMs, deadline.signal).catch(() => {});
    }
  }

  #put(key: string, object: O): void {
    const version = versionOf(object)!;
    const before = this.#entries.get(key);
    // Seen already, in a list or before the watch began anew.
    if (before?.version === version && !this.#versionsInDoubt) return;
    const value = this.#project(key, object);
    if (value === undefined) return this.#remove(key);
    this.#entries.set(key, { value, version });
    if (before === undefined) this.#emit({ type: "added", key, value });
    else this.#emit({ type: "updated", key, value, old: before.value });
  }

  #remove(key: string): void {
    const before = this.#entries.get(key);
    if (before === undefined) return;
    this.#entries.delete(key);
    this.#emit({ type: "deleted", key, value: before.value });
  }

  /** An object that cannot be understood counts as absent: nothing may rest on what it was before. */
  #project(key: string, object: O): T | undefined {
    try {
      return this.#options.project(object);
    } catch (error) {
      this.#options.log.error("Cannot project object", { kind: this.#options.resource.kind, key, error });
      return undefined;
    }
  }

  #emit(change: Change<T>): void {
    for (const handler of this.#handlers) this.#report(handler, change);
  }

  /** Calls what others gave us: their exceptions are logged and do not stop the watch. */
  #report<A>(callback: ((argument: A) => void) | undefined, argument: A): void {
    try {
      callback?.(argument);
    } catch (error) {
      this.#options.log.error("Handler failed", { kind: this.#options.resource.kind, error });
    }
  }

  #keyOf(object: O): string {
    if (this.#options.keyOf) return this.#options.keyOf(object);
    const { namespace, name } = object.metadata ?? {};
    return namespace === undefined ? `${name}` : `${namespace}/${name}`;
  }

  /** Nothing is retried inside the client: the backoff here knows more. */
  #selection(signal: AbortSignal) {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return { namespace, labelSelector, fieldSelector, signal, retries: 0 };
  }
}

function versionOf(object: KubeObject | undefined | null): string | undefined {
  return object?.metadata?.resourceVersion || undefined;
}
