import type { Level } from "./check.ts";
import type { Line } from "./run_checks.ts";
import { printable } from "../verb.ts";
import { count } from "./names.ts";

/** How lines are written. */
export type Format = "text" | "json";

const COLOURS: Readonly<Record<Level, number>> = { ok: 32, warn: 33, fail: 31 };

/** Writes a line as aligned text or as JSON. */
export function formatLine(line: Line, options: { format: Format; colour: boolean; width: number }): string {
  const { check, level, message, remedy } = line;
  if (options.format === "json") return `${JSON.stringify({ check, level, message, remedy })}\n`;
  const word = options.colour ? `\u001b[${COLOURS[level]}m${level.padEnd(4)}\u001b[0m` : level.padEnd(4);
  const text = remedy === undefined ? message : `${message}; remedy: ${remedy}`;
  // Names, labels and images may be the consumer's: nothing in them may speak to a terminal.
  return `${word}  ${check.padEnd(options.width)}  ${printable(text)}\n`;
}

/** The last line of text. */
export function summary(levels: readonly Level[]): string {
  const of = (level: Level) => levels.filter((l) => l === level).length;
  return `${of("ok")} ok, ${count(of("warn"), "warning")}, ${count(of("fail"), "failure")}\n`;
}
