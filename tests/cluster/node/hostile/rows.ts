import { cacheFolder } from "../../cache.ts";

/** What an attempt comes to. */
export type Verdict =
  /** The API server or the kernel says no. */
  | "refused"
  /** No packet of it leaves the pod, or reaches a process in it. */
  | "dropped"
  /** The pod is created, with the proxy and its rules in front of all that the consumer put into it. */
  | "injected"
  /** It arrives, through the proxy, which writes one record of it. */
  | "recorded"
  /** The proxy writes a record, and the NetworkPolicy lets nothing arrive. */
  | "recorded, stopped"
  /** It does what the attacker wants, and the README says that it does. */
  | "gets through";

/** One line of the report. */
export interface Row {
  /** What is tried, and where from, if not from a pod under the default profile. */
  what: string;
  /** The command, or the field of the pod; names in braces are filled in. */
  how: string;
  /** What has to come of it. */
  expected: Verdict;
  /** What comes of the same where Data Spacer is not asked; absent where that shows nothing. */
  bare?: Verdict;
}

/** A table of rows, in Markdown; `seen` gives what came of each instead of what has to. */
export function reportTable(rows: readonly Row[], seen: (row: Row) => Verdict = ({ expected }) => expected): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    line(["what was tried", "how", "what came of it", "without Data Spacer"]),
    line(["---", "---", "---", "---"]),
    ...rows.map((row) => line([row.what, `\`${row.how}\``, seen(row), row.bare ?? ""])),
  ].join("\n");
}

/** Fills names in braces in; those that there are no values for stay. */
export function fillIn(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{([\w-]+)\}/g, (all, name: string) => values[name] ?? all);
}

/** Writes what came of each row into `reports/NAME.md` in the cache; says where. @throws {Error} naming a row that was not tried. */
export async function writeReport(name: string, rows: readonly Row[], seen: ReadonlyMap<Row, Verdict>): Promise<void> {
  const untried = rows.find((row) => !seen.has(row));
  if (untried) throw new Error(`Cannot report: "${untried.what}" was not tried`);
  const folder = `${cacheFolder()}/reports`;
  await Deno.mkdir(folder, { recursive: true });
  const file = `${folder}/${name}.md`;
  await Deno.writeTextFile(file, `${reportTable(rows, (row) => seen.get(row)!)}\n`);
  Deno.stderr.writeSync(new TextEncoder().encode(`What came of each row: ${file}\n`));
}
