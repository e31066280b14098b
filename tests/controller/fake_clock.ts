import { setImmediate } from "node:timers";

interface Timer {
  due: number;
  run: () => void;
}

/** A clock that stands still until told to move; timers run in the order of their time. */
export class FakeClock {
  #now: number;
  readonly #timers = new Set<Timer>();

  constructor(startMs = 1_000) {
    this.#now = startMs;
  }

  readonly now = (): number => this.#now;

  readonly setTimer = (run: () => void, ms: number): () => void => {
    const timer = { due: this.#now + (ms < 2 ** 31 ? ms : 1), run }; // as the real one does
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stop = () => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = this.setTimer(() => {
        signal?.removeEventListener("abort", stop);
        resolve();
      }, ms);
      signal?.addEventListener("abort", stop, { once: true });
    });

  /** Timers that have not run. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on by `ms`, letting promises settle after each timer. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await settled();
      const next = [...this.#timers].sort((a, b) => a.due - b.due)[0]; // stable: first set, first run
      if (next === undefined || next.due > until) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.due);
      next.run();
    }
    this.#now = until;
  }
}

/** Resolves after everything that needs no time has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
