import config from "../../deno.json" with { type: "json" };
import { PRODUCT } from "../core/names.ts";
import type { Settings } from "../core/settings.ts";
import { KubeClient } from "../kube/client.ts";
import { type Credentials, loadCredentials } from "../kube/credentials.ts";
import type { CheckDeps, Level } from "./check/check.ts";
import { checks } from "./check/checks.ts";
import { dial } from "./check/dial.ts";
import { type Format, formatLine, summary } from "./check/output.ts";
import { runChecks } from "./check/run_checks.ts";
import { survey } from "./check/survey.ts";
import { readCommandLine } from "./options.ts";
import { type Process, UsageError, type Verb } from "./verb.ts";

const width = Math.max(...checks.map(({ id }) => id.length));
const usage = {
  usage: "data-spacer check [FLAGS]",
  about: `Looks at:\n${checks.map(({ id, title }) => `  ${id.padEnd(width)}  ${title}\n`).join("")}\n` +
    "Exit code 0 if nothing fails, warnings or not; 1 if anything does; 2 on wrong usage.\n\n",
  flags: { output: { value: "FORMAT", short: "o", help: "text (default), or json: one object a line" } },
} as const;

/** `check`: examines a cluster and our installation in it. Exit code 1 if anything must be put right. */
export const run: Verb = async (args, process) => {
  const line = readCommandLine(args, process, usage);
  if (line === undefined) return 0;
  const format = formatOf(line.own.output.at(-1) ?? "text");
  const { settings } = line;
  using client = new KubeClient({ credentials: await credentials(settings, process), fieldManager: PRODUCT });
  const cluster = survey(client, settings);
  const { version } = config;
  const deps: CheckDeps = { client, settings, survey: cluster, version, now: Date.now, dial };
  return await report(deps, process, format);
};

/** Runs every check and writes what it finds, as it comes. Returns the exit code. */
export async function report(deps: CheckDeps, process: Process, format: Format): Promise<number> {
  const colour = process.terminal && !process.env("NO_COLOR"); // no-color.org
  const levels: Level[] = [];
  for await (const line of runChecks(checks, deps)) {
    levels.push(line.level);
    process.out(formatLine(line, { format, colour, width }));
  }
  if (format === "text") process.out(summary(levels));
  return levels.includes("fail") ? 1 : 0;
}

function formatOf(text: string): Format {
  if (text === "text" || text === "json") return text;
  throw new UsageError(`Cannot use --output "${text}": must be text or json`);
}

/** As kubectl finds them, and in a pod those of its ServiceAccount. */
async function credentials({ kubeconfig, context }: Settings, process: Process): Promise<Credentials> {
  // KUBECONFIG may name several files, which only a search through the environment takes apart.
  const named = kubeconfig === process.env("KUBECONFIG") ? undefined : kubeconfig;
  try {
    return await loadCredentials({ kubeconfig: named, context, env: process.env });
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}
