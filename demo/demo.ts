import type { Cast, Chapter } from "./cast.ts";
import { installing } from "./chapters/install.ts";
import { labelling } from "./chapters/labels.ts";
import { offloading } from "./chapters/offload.ts";
import { outage, uninstalling } from "./chapters/outage.ts";
import { evading } from "./chapters/pods.ts";
import { tampering } from "./chapters/tamper.ts";
import { working } from "./chapters/work.ts";
import { runCommand } from "./commands.ts";
import { Liqo } from "./liqo.ts";
import { HELP, type Options, parseOptions } from "./options.ts";
import { draw } from "./recording.ts";
import { Screen, wrap } from "./screen.ts";
import { Story } from "./story.ts";
import { choose, type Where } from "./where/choose.ts";
import { cleanContext, contextGround } from "./where/context.ts";
import type { Ground, Means } from "./where/ground.ts";
import { deleteKind, kindGround, kindIsThere } from "./where/kind.ts";
import { cleanNode, nodeGround } from "./where/node.ts";

/** The chapters and how many steps they have; the last one only where nothing is kept. */
const CHAPTERS: [chapter: Chapter, steps: number][] = [
  [installing, 2],
  [offloading, 2],
  [working, 6],
  [evading, 6],
  [tampering, 7],
  [labelling, 6],
  [outage, 5],
];
const END: [chapter: Chapter, steps: number] = [uninstalling, 1];

/** Code of a program that Ctrl-C has ended. */
const INTERRUPTED = 130;

/** Tells the story, and returns the exit code. */
async function main(args: readonly string[], screen: Screen): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    screen.write(HELP);
    return 0;
  }
  const ending = new AbortController();
  const means: Means = { screen, run: runCommand, signal: ending.signal };
  if (options.clean) {
    await clean(options, means);
    return 0;
  }
  const where = await choose(options, { run: runCommand, os: Deno.build.os, uid: Deno.uid() });
  const interrupted = Promise.withResolvers<typeof INTERRUPTED>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => interrupted.resolve(INTERRUPTED));
  }
  const opening = open(where, options, means);
  const told = opening.then((ground) => tell(ground, options, screen));
  let code: number | undefined;
  try {
    code = await Promise.race([told, interrupted.promise]);
  } finally {
    if (code === INTERRUPTED) {
      screen.write("\nInterrupted: all is removed again.\n");
      screen.mute();
      ending.abort();
      told.catch(() => {});
    }
    const ground = await opening.catch(() => undefined); // told has its error
    if (ground && options.keep && code !== undefined && code !== INTERRUPTED) {
      await ground.keep();
      screen.write(lookAround(ground));
    } else {
      screen.progress("Removing all again");
      await ground?.[Symbol.asyncDispose]();
    }
  }
  return code;
}

async function open(where: Where, options: Options, means: Means): Promise<Ground> {
  if (where.on === "context") return await contextGround({ ...options, context: where.context }, means);
  return where.on === "kind" ? await kindGround(means) : await nodeGround(means);
}

async function clean({ context, on }: Options, means: Means): Promise<void> {
  if (context !== undefined) return await cleanContext(context, means);
  if (on !== "node" && await kindIsThere(means.run)) await deleteKind(means);
  if (on !== "kind") await cleanNode(means);
}

async function tell({ kubectl, images, title }: Ground, { keep, record }: Options, screen: Screen): Promise<number> {
  const start = performance.now();
  screen.idle();
  screen.write(`${screen.paint("dim", wrap(`On ${title}.`, 0))}\n`);
  const chapters = keep ? CHAPTERS : [...CHAPTERS, END];
  const story = new Story(screen, { steps: chapters.reduce((sum, [, steps]) => sum + steps, 0) });
  const cast: Cast = { story, kubectl, images, liqo: await Liqo.install(kubectl, images) };
  for (const [chapter] of chapters) await chapter(cast);
  const { failed, told: { length } } = story;
  const seconds = Math.round((performance.now() - start) / 1_000);
  screen.write(
    failed === 0
      ? `\n${screen.paint("green", `All ${length} expectations held`)}, in ${seconds} s.\n`
      : `\n${screen.paint("red", `${failed} of ${length} expectations did not hold`)}.\n`,
  );
  if (record !== undefined && failed === 0) await Deno.writeTextFile(record, draw(story.told));
  return failed === 0 ? 0 : 1;
}

function lookAround({ shell, clean }: Ground): string {
  return `
All is left running. To look around:

${shell.map((line) => `  ${line}\n`).join("")}
  kubectl get pods --all-namespaces
  kubectl -n pharma-space-pharma describe pod pharma-app
  kubectl -n pharma-space-pharma get networkpolicy,configmap
  kubectl -n default get events --field-selector source=data-spacer

and to follow what pharma does:

  kubectl -n pharma-space-pharma logs -f pharma-app -c data-space-proxy
  kubectl -n pharma-space-pharma exec pharma-app -c app -- deno eval \\
    'const answer = await fetch("http://hospital-app.hospital-space:8080/patients");
    console.log(await answer.text())'

"deno task demo ${clean}" removes it.
`;
}

if (import.meta.main) {
  const encoder = new TextEncoder();
  const write = (text: string) => {
    for (let rest = encoder.encode(text); rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
  };
  using screen = new Screen({ write, terminal: Deno.stdout.isTerminal() });
  const code = await main(Deno.args, screen).catch((error) => {
    screen.idle();
    screen.write(`${error instanceof Error ? error.message : error}\n`);
    return 2;
  });
  screen.idle();
  Deno.exit(code);
}
