/** One line of the report. */
export interface Figure {
  /** What was measured. */
  name: string;
  /** What it should be; "" where it is only reported. */
  target: string;
  /** Median and spread, with the unit. */
  measured: string;
  /** Whether the target is reached; absent where there is none. */
  reached?: boolean;
}

/** What a benchmark gets. */
export interface BenchContext {
  /** Short runs, to try the scripts: their figures mean nothing. */
  quick: boolean;
  /** Says what goes on. */
  log: (line: string) => void;
}

/** Measures some figures of one kind. */
export type Bench = (context: BenchContext) => Promise<Figure[]>;

/** Figures as a table in Markdown. */
export function tableOf(figures: readonly (Figure & { command: string; load: string })[]): string {
  const rows = figures.map(({ name, target, measured, reached, command, load }) => {
    const verdict = reached === undefined ? "" : reached ? "yes" : "**no**";
    return [name, target, measured, verdict, load, `\`${command}\``];
  });
  const head = ["figure", "target", "measured", "reached", "load", "command"];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
