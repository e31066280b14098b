/** How long repeated tampering with one object is remembered, ms. */
const MEMORY_MS = 120_000;

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;

/** Slows repairs down where somebody undoes them again and again: the first is at once, later ones back off up to 30 s. */
export class Tampering {
  readonly #now: () => number;
  readonly #seen = new Map<string, { repairs: number; last: number }>();

  /** `now` is a clock in ms that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** How long to wait before an object may be repaired, ms; 0: at once. */
  delay(key: string): number {
    const seen = this.#seen.get(key);
    if (seen === undefined) return 0;
    const since = this.#now() - seen.last;
    if (since > MEMORY_MS) {
      this.#seen.delete(key);
      return 0;
    }
    const backoff = seen.repairs < 2 ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (seen.repairs - 2));
    return Math.max(0, backoff - since);
  }

  /** Notes a repair. */
  repaired(key: string): void {
    const repairs = (this.#seen.get(key)?.repairs ?? 0) + 1;
    this.#seen.delete(key); // and to the end, as the latest
    this.#seen.set(key, { repairs, last: this.#now() });
    for (const [oldest, { last }] of this.#seen) {
      if (this.#now() - last <= MEMORY_MS) break;
      this.#seen.delete(oldest);
    }
  }
}
