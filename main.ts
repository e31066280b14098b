import config from "./deno.json" with { type: "json" };
import { printable, type Process, UsageError, type Verb } from "./lib/cli/verb.ts";

/** Each verb is one module, loaded only when it is asked for. */
const verbs: Record<string, { help: string; load: () => Promise<{ run: Verb }> }> = {
  serve: { help: "run the controller and the admission webhook (default)", load: () => import("./lib/serve.ts") },
  inject: { help: "make the pods of a stream of YAML as the webhook would", load: () => import("./lib/cli/inject.ts") },
  render: { help: "print the objects kept in offloaded namespaces", load: () => import("./lib/cli/render.ts") },
  check: { help: "examine a cluster and our installation in it", load: () => import("./lib/cli/check.ts") },
  version: { help: "print the version", load: () => Promise.resolve({ run: version }) },
};

async function usage(): Promise<string> {
  const { settingsHelp } = await import("./lib/cli/options.ts");
  const lines = Object.entries(verbs).map(([name, { help }]) => `  ${name}\n      ${help}`).join("\n");
  return `Usage: data-spacer [VERB] [FLAGS]\n\n${lines}\n\nVERB --help lists its own flags too.\n\nFlags, and variables that give the same:\n${settingsHelp()}\n`;
}

const version: Verb = (args, process) => {
  const help = args.length === 1 && /^(--help|-h)$/.test(args[0]!);
  if (args.length > 0 && !help) throw new UsageError(`Cannot run "version ${args.join(" ")}": it takes no arguments`);
  process.out(help ? "Usage: data-spacer version\n" : `${config.version}\n`);
  return Promise.resolve(0);
};

const thisProcess: Process = {
  env: (name) => Deno.env.get(name),
  out: (text) => writeAll(Deno.stdout, text),
  terminal: Deno.stdout.isTerminal(),
  err: (text) => writeAll(Deno.stderr, text),
  read: (file) => file === "-" ? new Response(Deno.stdin.readable).text() : Deno.readTextFile(file),
};

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  for (let rest = new TextEncoder().encode(text); rest.length > 0;) rest = rest.subarray(to.writeSync(rest));
}

async function main(args: string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === "help" || first === "--help" || first === "-h") {
    thisProcess.out(await usage());
    return 0;
  }
  const [name, own] = first === undefined || first.startsWith("-") ? ["serve", args] : [first, rest];
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb === undefined) throw new UsageError(`Cannot run "${name}": must be one of ${Object.keys(verbs).join(", ")}`);
  return await (await verb.load()).run(own, thisProcess);
}

if (import.meta.main) {
  const code = await main(Deno.args).catch((error: unknown) => {
    if (error instanceof Deno.errors.BrokenPipe) return 1; // The reader of our output has gone; there is nobody to tell.
    const usageError = error instanceof UsageError;
    const lines = (usageError ? error.message : Deno.inspect(error)).split("\n");
    thisProcess.err(`${lines.map(printable).join("\n")}\n`);
    return usageError ? 2 : 1;
  });
  Deno.exit(code);
}
