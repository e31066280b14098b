/** Waits `ms`; rejects with the signal's reason when that fires first. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

/** The real {@linkcode Sleep}. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * A signal that fires with another one or after a time, and leaves nothing behind when disposed. `AbortSignal.any`
 * and `AbortSignal.timeout` would keep a timer for each request, and a dependent on the process's root signal.
 */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal | undefined;
  readonly #follow = (): void => this.#controller.abort(this.#parent?.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #expired = false;

  /** Fires when `parent` does, or `ms` from now; without `ms` only when `parent` does. */
  constructor(parent?: AbortSignal, ms?: number) {
    this.#parent = parent;
    if (parent?.aborted) this.#follow();
    else parent?.addEventListener("abort", this.#follow, { once: true });
    if (ms !== undefined) {
      this.#timer = setTimeout(() => {
        this.#expired = true;
        this.#controller.abort(new DOMException(`No answer within ${ms} ms`, "TimeoutError"));
      }, ms);
    }
  }

  /** Give this one to what must stop. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The time ran out (and not: the parent fired). */
  get expired(): boolean {
    return this.#expired;
  }

  /** Stops the clock; the parent still counts. */
  stopClock(): void {
    clearTimeout(this.#timer);
  }

  /** Fires now. */
  abort(reason?: unknown): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#parent?.removeEventListener("abort", this.#follow);
  }
}

/** What {@linkcode Backoff} needs. */
export interface BackoffOptions {
  /** Upper bound of the first wait, in milliseconds. */
  baseMs: number;
  /** No wait is longer, in milliseconds. */
  maxMs: number;
  /** A number in [0, 1). */
  random?: () => number;
}

/** Exponential backoff with full jitter: the bound doubles, the wait is anything below it. */
export class Backoff {
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#baseMs = options.baseMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random ?? Math.random;
  }

  /** How often {@linkcode Backoff.nextMs} was asked since the last reset. */
  get failures(): number {
    return this.#failures;
  }

  /** The next wait in milliseconds. */
  nextMs(): number {
    const bound = Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    return Math.round(this.#random() * bound);
  }

  /** All is well: the next failure starts from the first wait. */
  reset(): void {
    this.#failures = 0;
  }
}
