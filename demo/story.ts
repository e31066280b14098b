/** Where a story is told. */
export interface StoryOptions {
  /** Writes text. */
  write(text: string): void;
  /** Colours, on a terminal. */
  colour: boolean;
  /** Steps that there will be, for the count in front of each. */
  steps: number;
}

/** Columns that the text is broken at. */
const WIDTH = 96;

/** Tells a story step by step: what is done, what is expected, what was seen. A step that does not see it fails the story. */
export class Story {
  readonly #options: StoryOptions;
  #step = 0;
  #failed = 0;

  constructor(options: StoryOptions) {
    this.#options = options;
  }

  /** Steps whose expectation did not hold. */
  get failed(): number {
    return this.#failed;
  }

  /** Steps told so far. */
  get told(): number {
    return this.#step;
  }

  /** A heading. */
  chapter(title: string): void {
    this.#options.write(`\n${this.#paint("1", title)}\n`);
  }

  /** One step; `act` returns what was seen, or throws with what was seen instead. */
  async step(done: string, expected: string, act: () => Promise<string | string[]>): Promise<void> {
    const number = `${String(++this.#step).padStart(2)}/${this.#options.steps}`;
    this.#options.write(`\n${this.#paint("36", number)} ${wrap(done, 6)}\n`);
    this.#line("expected", expected);
    const start = performance.now();
    try {
      const saw = [await act()].flat();
      const took = `${Math.round(performance.now() - start)} ms`;
      saw.forEach((text, i) => this.#line(i === 0 ? "saw" : "", text));
      this.#options.write(`      ${this.#paint("32", "✓")} ${this.#paint("2", took)}\n`);
    } catch (error) {
      this.#failed++;
      this.#line("saw", error instanceof Error ? error.message : String(error));
      this.#options.write(`      ${this.#paint("31", "✗ not as expected")}\n`);
    }
  }

  /** A line by the side. */
  note(text: string): void {
    this.#options.write(`${this.#paint("2", wrap(text, 0))}\n`);
  }

  #line(label: string, text: string): void {
    this.#options.write(`      ${this.#paint("2", label.padEnd(9))}${wrap(text, 15)}\n`);
  }

  #paint(code: string, text: string): string {
    return this.#options.colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}

/** Breaks text at blanks; lines after the first are indented. */
export function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}
