import { type Screen, wrap } from "./screen.ts";

/** One step, as it was told. */
export interface Told {
  /** Heading that it stands under. */
  chapter: string;
  done: string;
  expected: string;
  /** Lines behind `saw`, and records behind `log`. */
  lines: { label: "saw" | "log"; text: string }[];
  held: boolean;
}

/** How long a failure waits before it is told, ms: Ctrl-C ends kubectl too, and is to be heard first. */
const PAUSE_MS = 100;

/** Tells a story step by step: what is done, what is expected, what was seen. A step that does not see it fails the story. */
export class Story {
  readonly #screen: Screen;
  readonly #steps: number;
  readonly #told: Told[] = [];
  #chapter = "";

  /** `steps`: how many there will be, for the count in front of each. */
  constructor(screen: Screen, options: { steps: number }) {
    this.#screen = screen;
    this.#steps = options.steps;
  }

  /** All steps so far. */
  get told(): readonly Told[] {
    return this.#told;
  }

  /** How many of them did not see what they expected. */
  get failed(): number {
    return this.#told.filter(({ held }) => !held).length;
  }

  /** A heading. */
  chapter(title: string): void {
    this.#chapter = title;
    this.#screen.write(`\n${this.#screen.paint("bold", title)}\n`);
  }

  /** One step; `act` returns what was seen, or throws with what was seen instead. */
  async step(done: string, expected: string, act: () => Promise<string | string[]>): Promise<void> {
    const told: Told = { chapter: this.#chapter, done, expected, lines: [], held: false };
    this.#told.push(told);
    const screen = this.#screen;
    const number = `${String(this.#told.length).padStart(2)}/${this.#steps}`;
    screen.write(`\n${screen.paint("cyan", number)} ${wrap(done, 6)}\n`);
    this.#line("expected", expected);
    const start = performance.now();
    screen.busy("");
    let verdict: string;
    try {
      const saw = [await act()].flat();
      saw.forEach((text, i) => this.#see("saw", text, i === 0));
      told.held = true;
      const took = `${((performance.now() - start) / 1_000).toFixed(1)} s`;
      verdict = `${screen.paint("green", "✓")} ${screen.paint("dim", took)}`;
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      this.#see("saw", error instanceof Error ? error.message : String(error));
      verdict = screen.paint("red", "✗ not as expected");
    }
    screen.idle();
    screen.write(`      ${verdict}\n`);
  }

  /** A line of a log, as it comes, within a step. */
  log(text: string): void {
    this.#see("log", text);
  }

  #see(label: "saw" | "log", text: string, labelled = true): void {
    this.#told.at(-1)?.lines.push({ label, text });
    this.#line(labelled ? label : "", text);
  }

  #line(label: string, text: string): void {
    const { paint, write } = {
      paint: this.#screen.paint.bind(this.#screen),
      write: this.#screen.write.bind(this.#screen),
    };
    const painted = label === "log" ? paint("yellow", wrap(text, 15)) : wrap(text, 15);
    write(`      ${paint("dim", label.padEnd(9))}${painted}\n`);
  }
}
