import { type Due, DueHeap } from "./due_heap.ts";

/** What a queue can be made to behave like; all have defaults. */
export interface WorkQueueOptions {
  /** Steady clock, ms. */
  now?: () => number;
  /** Calls `wake` once after `ms`; returns what cancels that. */
  setTimer?: (wake: () => void, ms: number) => () => void;
  /** Jitter, in [0, 1). */
  random?: () => number;
  /** First and longest wait of {@linkcode WorkQueue.retry}, ms. */
  backoff?: { firstMs: number; capMs: number };
}

/** How far behind a queue is, for metrics. */
export interface QueueStats {
  /** Keys that are due and not yet taken. */
  depth: number;
  /** How long the longest-waiting of them has been due, ms; 0 if there is none. */
  oldestMs: number;
}

/** 5 ms to 30 s: nearly at once after a passing fault, and no burden while one lasts. */
const BACKOFF = { firstMs: 5, capMs: 30_000 };

/** Longest delay that setTimeout takes; beyond it would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A key between its first `add` and its last `done`. */
interface Entry extends Due {
  readonly key: string;
  running: boolean;
  /** Added while running: when it is due again. */
  again: number | undefined;
}

/**
 * A queue of keys for level-triggered work.
 *
 * - A key is there once, however often it is added; of several times the earlier one wins.
 * - A key never runs twice at once: added while it runs, it comes again after `done`.
 * - Keys come in the order in which they are due.
 */
export class WorkQueue {
  readonly #now: () => number;
  readonly #setTimer: (wake: () => void, ms: number) => () => void;
  readonly #random: () => number;
  readonly #backoff: { firstMs: number; capMs: number };
  readonly #entries = new Map<string, Entry>();
  readonly #waiting = new DueHeap<Entry>();
  readonly #failures = new Map<string, number>();
  readonly #idle = new Set<() => void>();
  /** The only timer: for the earliest key that is not due yet, and only while somebody waits for it. */
  #timer: { due: number; cancel: () => void } | undefined;
  #order = 0;

  constructor(options: WorkQueueOptions = {}) {
    this.#now = options.now ?? (() => performance.now());
    this.#setTimer = options.setTimer ?? startTimer;
    this.#random = options.random ?? Math.random;
    this.#backoff = options.backoff ?? BACKOFF;
  }

  /** Asks for a run of `key`, `delayMs` from now. */
  add(key: string, delayMs = 0): void {
    const due = this.#now() + delayMs;
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      const added: Entry = { key, due, order: this.#order++, at: 0, running: false, again: undefined };
      this.#entries.set(key, added);
      this.#waiting.push(added);
    } else if (entry.running) {
      entry.again = Math.min(entry.again ?? due, due);
      return;
    } else if (due < entry.due) {
      this.#waiting.advance(entry, due);
    }
    this.#wake();
  }

  /**
   * Asks for another run after a failure: each in a row waits twice as long as the one before, less up to half of it
   * by chance, so that keys that failed together do not return together. Returns the wait, ms.
   */
  retry(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const { firstMs, capMs } = this.#backoff;
    const delayMs = Math.min(capMs, firstMs * 2 ** failures) * (1 - this.#random() / 2);
    this.add(key, delayMs);
    return delayMs;
  }

  /** Ends a row of failures: the next one waits the shortest time again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Keys to run, as they fall due, until the signal is aborted. Each needs a `done`. Several takers share the keys. */
  async *take(signal: AbortSignal): AsyncGenerator<string, void, void> {
    let wake = (): void => {};
    const onAbort = () => wake();
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        const key = this.#takeDue();
        if (key !== undefined) yield key;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            this.#idle.add(resolve);
            this.#wake();
          });
          this.#idle.delete(wake);
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#wake(); // for a key that this taker was woken for and did not take
    }
  }

  /** Ends the run of a key that was taken; added meanwhile, it waits for its next. */
  done(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || !entry.running) return; // cleared while it ran
    if (entry.again === undefined) {
      this.#entries.delete(key);
      return;
    }
    Object.assign(entry, { due: entry.again, order: this.#order++, running: false, again: undefined });
    this.#waiting.push(entry);
    this.#wake();
  }

  /** Drops every key that waits, and all rows of failures. Keys that run may still be marked done. */
  clear(): void {
    for (const [key, entry] of this.#entries) {
      if (entry.running) entry.again = undefined;
      else this.#entries.delete(key);
    }
    this.#waiting.clear();
    this.#failures.clear();
    this.#wake();
  }

  /** How far behind the queue is. */
  stats(): QueueStats {
    const now = this.#now();
    const depth = this.#waiting.countDue(now);
    return { depth, oldestMs: depth === 0 ? 0 : now - this.#waiting.peek()!.due };
  }

  #takeDue(): string | undefined {
    const entry = this.#waiting.peek();
    if (entry === undefined || entry.due > this.#now()) return undefined;
    this.#waiting.pop();
    entry.running = true;
    this.#wake(); // one is woken at a time; who takes a key wakes the next
    return entry.key;
  }

  /** Wakes a taker if a key is due, or sets the timer for the earliest one, if anybody waits. */
  #wake(): void {
    const [taker] = this.#idle;
    const next = taker === undefined ? undefined : this.#waiting.peek();
    const waitMs = next === undefined ? undefined : next.due - this.#now();
    if (waitMs !== undefined && waitMs <= 0) {
      this.#idle.delete(taker!);
      taker!();
    }
    if (this.#timer !== undefined && this.#timer.due === next?.due) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (waitMs === undefined || waitMs <= 0) return;
    const cancel = this.#setTimer(() => {
      this.#timer = undefined;
      this.#wake();
    }, Math.min(waitMs, MAX_TIMER_MS));
    this.#timer = { due: next!.due, cancel };
  }
}

function startTimer(wake: () => void, ms: number): () => void {
  const id = setTimeout(wake, ms);
  return () => clearTimeout(id);
}
