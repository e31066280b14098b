/** An Event is forgotten after an hour (kube-apiserver's default): what still holds is said again before, ms. */
export const REMIND_MS = 45 * 60_000;

/** Says what holds once, and again when it changes or is nearly forgotten. */
export class Reminders {
  readonly #now: () => number;
  readonly #said = new Map<string, { text: string; at: number }>();

  /** `now` is a clock in ms that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether a text about something is to be said now; it then counts as said. Without a text the matter is forgotten. */
  isDue(about: string, text: string | undefined): boolean {
    const said = this.#said.get(about);
    if (text === undefined) {
      this.#said.delete(about);
      return false;
    }
    if (said?.text === text && this.#now() - said.at < REMIND_MS) return false;
    this.#said.set(about, { text, at: this.#now() });
    return true;
  }
}
