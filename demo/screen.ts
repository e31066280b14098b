/** Where a {@linkcode Screen} writes to. */
export interface ScreenOptions {
  /** Writes text. */
  write(text: string): void;
  /** Colours, and one line that changes: on a terminal. */
  terminal: boolean;
}

/** Columns that text is broken at. */
export const WIDTH = 96;

const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const FRAME_MS = 120;

/** Colours, by ANSI code. */
export const COLOURS = { bold: "1", dim: "2", red: "31", green: "32", yellow: "33", cyan: "36" } as const;

/** Text in colour, and on a terminal a last line that tells what goes on meanwhile. */
export class Screen implements Disposable {
  readonly #options: ScreenOptions;
  #busy: { text: string; since: number; timer: ReturnType<typeof setInterval> } | undefined;
  #muted = false;

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  /** Writes text above the changing line. */
  write(text: string): void {
    if (this.#muted) return;
    if (this.#busy) this.#options.write("\r\x1b[K");
    this.#options.write(text);
  }

  /** Text in a colour, on a terminal. */
  paint(colour: keyof typeof COLOURS, text: string): string {
    return this.#options.terminal ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text;
  }

  /** Says what goes on, until something else does or {@linkcode Screen.idle}. Shows nothing but on a terminal. */
  busy(text: string): void {
    if (!this.#options.terminal || this.#muted) return;
    if (this.#busy) {
      this.#busy.text = text;
      return;
    }
    this.#busy = { text, since: performance.now(), timer: setInterval(() => this.#draw(), FRAME_MS) };
  }

  /** A line of progress of something long: the changing line on a terminal, else a line of its own. */
  progress(text: string): void {
    if (this.#options.terminal) this.busy(text);
    else this.write(`${wrap(text, 0)}\n`);
  }

  /** Takes the changing line away. */
  idle(): void {
    if (!this.#busy) return;
    clearInterval(this.#busy.timer);
    this.#busy = undefined;
    this.#options.write("\r\x1b[K");
  }

  /** Writes nothing any more: what still goes on is of no interest. */
  mute(): void {
    this.idle();
    this.#muted = true;
  }

  [Symbol.dispose](): void {
    this.idle();
  }

  #draw(): void {
    const { text, since } = this.#busy!;
    const ms = performance.now() - since;
    const frame = FRAMES[Math.floor(ms / FRAME_MS) % FRAMES.length];
    const line = `${frame} ${Math.floor(ms / 1_000)} s  ${text}`.slice(0, WIDTH).trimEnd();
    this.#options.write(`\r\x1b[K${this.paint("dim", line)}`);
  }
}

/** Breaks text at blanks; lines after the first are indented. A word that is too long for a line is broken too. */
export function wrap(text: string, indent: number): string {
  const width = WIDTH - indent;
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ").flatMap((word) => pieces(word, width))) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}

function pieces(word: string, width: number): string[] {
  const count = Math.max(1, Math.ceil(word.length / width));
  return Array.from({ length: count }, (_, i) => word.slice(i * width, (i + 1) * width));
}
