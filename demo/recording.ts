import type { Told } from "./story.ts";

/** Columns of the drawing, and most lines behind one step. */
const COLUMNS = 112;
const [WIDTH, HEIGHT] = [7.25, 17];

/** Draws a story that was told as an SVG: a line for each step, one below for what was seen. */
export function draw(told: readonly Told[]): string {
  const rows: [style: string, text: string][] = [["prompt", "$ deno task demo"]];
  let chapter = "";
  for (const [i, step] of told.entries()) {
    if (step.chapter !== chapter) rows.push(["", ""], ["chapter", chapter = step.chapter]);
    rows.push(["done", cut(`${String(i + 1).padStart(2)} ${step.held ? "✓" : "✗"} ${step.done}`)]);
    for (const { label, text } of step.lines.slice(0, 2)) rows.push([label, cut(`     ${steady(text)}`)]);
  }
  const lines = rows.map(([style, text], i) => {
    const x = 12 + WIDTH * (text.length - text.trimStart().length); // blanks in front are not shown everywhere
    return `<text class="${style}" x="${x}" y="${(i + 1) * HEIGHT + 8}">${escape(text.trimStart())}</text>`;
  });
  const [width, height] = [Math.round(COLUMNS * WIDTH + 24), rows.length * HEIGHT + 24];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<style>
  text { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #c9d1d9; white-space: pre }
  .prompt { fill: #7ee787 } .chapter { fill: #ffffff; font-weight: bold } .saw { fill: #8b949e } .log { fill: #e3b341 }
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
${lines.filter((line) => !line.endsWith("></text>")).join("\n")}
</svg>
`;
}

/** What differs from run to run is masked: times, addresses, what is made up in names. */
export function steady(text: string): string {
  return text
    .replace("The provider cannot host this pod: ", "")
    .replace(/\b\d+(\.\d+)?( ms| s)\b/g, "…$2")
    .replace(/\b\d+\.\d+\.\d+\.\d+\b/g, "10.…")
    .replace(/\bdata-spacer-[a-z0-9]{6,10}-[a-z0-9]{5}\b/g, "data-spacer-…");
}

function cut(text: string): string {
  return text.length > COLUMNS ? `${text.slice(0, COLUMNS - 1)}…` : text;
}

function escape(text: string): string {
  return text.replace(/[<>&]/g, (sign) => ({ "<": "&lt;", ">": "&gt;", "&": "&amp;" })[sign]!);
}
