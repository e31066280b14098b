import { parseArgs } from "node:util";
import { options } from "../core/options.ts";
import { type Given, parseSettings } from "../core/parse_settings.ts";
import type { Settings } from "../core/settings.ts";
import { type Process, UsageError } from "./verb.ts";

/** A flag that only one verb has. */
export interface OwnFlag {
  /** Placeholder of the value; absent: the flag takes none. */
  value?: string;
  /** Letter that stands for the flag. */
  short?: string;
  help: string;
}

/** What a verb's command line looks like. */
export interface VerbUsage<Name extends string> {
  /** The first line of its help. */
  usage: string;
  /** What more is to be said, whole lines. */
  about?: string;
  /** Its flags besides those of the settings and `--help`. */
  flags: Readonly<Record<Name, OwnFlag>>;
}

/** Command line of a verb, read. */
export interface CommandLine<Name extends string> {
  settings: Settings;
  /** Values of the verb's own flags, in order; `"true"` for a flag without value. */
  own: Readonly<Record<Name, readonly string[]>>;
}

type ParseOptions = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>["options"]>;

const specs = Object.entries(options) as [keyof Settings, (typeof options)[keyof Settings]][];
const help: OwnFlag = { short: "h", help: "print this" };

/**
 * Reads flags, then environment variables, then defaults. Undefined if `--help` is among the flags: it is printed then.
 *
 * @throws {UsageError} on an unknown flag, a stray argument or a value that is not right; names it and what would be.
 */
export function readCommandLine<Name extends string>(
  args: string[],
  process: Pick<Process, "env" | "out">,
  verb: VerbUsage<Name>,
): CommandLine<Name> | undefined {
  const ownFlags: Record<string, OwnFlag> = { ...verb.flags, help };
  const values = parse(args, ownFlags);
  if (values.help !== undefined) {
    process.out(`Usage: ${verb.usage}\n\n${verb.about ?? ""}${ownHelp(ownFlags)}\n${settingsHelp()}\n`);
    return undefined;
  }
  const names = Object.keys(verb.flags) as Name[];
  const own = names.map((name) => [name, ((values[name] ?? []) as unknown[]).map(String)]);
  try {
    return { settings: parseSettings(given(values, process)), own: Object.fromEntries(own) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(error.message, { cause: error });
  }
}

function parse(args: string[], ownFlags: Record<string, OwnFlag>): Record<string, unknown> {
  const flags: ParseOptions = {};
  for (const [, { flag }] of specs) flags[flag] = { type: "string" };
  for (const [name, { value, short }] of Object.entries(ownFlags)) {
    flags[name] = { type: value === undefined ? "boolean" : "string", multiple: true, ...(short ? { short } : {}) };
  }
  try {
    return parseArgs({ args: completeAlone(args), options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    // Node's message goes on with advice that does not help here.
    const [problem] = (error as Error).message.split(/\. |\n/);
    throw new UsageError(`Cannot read the command line: ${problem}; --help lists the flags`, { cause: error });
  }
}

/** A flag that may stand without a value gets the one that it then means. */
function completeAlone(args: string[]): string[] {
  const alone = new Map<string, string>();
  for (const [, spec] of specs) if (spec.alone !== undefined) alone.set(`--${spec.flag}`, spec.alone);
  return args.map((arg) => alone.has(arg) ? `${arg}=${alone.get(arg)}` : arg);
}

/** Flags count before variables; an empty variable is one that is not set. */
function given(values: Record<string, unknown>, process: Pick<Process, "env">): Partial<Record<keyof Settings, Given>> {
  const given: Partial<Record<keyof Settings, Given>> = {};
  for (const [key, spec] of specs) {
    const flag = values[spec.flag];
    const variable = process.env(spec.env);
    if (typeof flag === "string") given[key] = { text: flag, source: `--${spec.flag}` };
    else if (variable) given[key] = { text: variable, source: spec.env };
  }
  return given;
}

/** Help text of all settings: a line with flag, variable and default, then what it is. */
export function settingsHelp(): string {
  return specs.map(([, { flag, env, value, alone, default: initial, help }]) => {
    const shown = alone === undefined ? `--${flag} ${value}` : `--${flag}[=${value}]`;
    const rest = [env, ...(initial ? [`default ${initial}`] : [])].join(", ");
    return `  ${shown}  (${rest})\n      ${help}`;
  }).join("\n");
}

function ownHelp(flags: Record<string, OwnFlag>): string {
  return Object.entries(flags).map(([name, { value, short, help }]) =>
    `  ${short ? `-${short}, ` : ""}--${name}${value === undefined ? "" : ` ${value}`}\n      ${help}`
  ).join("\n");
}
