import { cacheFolder, exists, makeFolder, withLock } from "./cache.ts";
import { findGo, type Go } from "./toolchain.ts";

/** Programs that are built together, from one Go module. */
export interface GoModule {
  /** What it is called in lines of progress, for example `etcd v3.6.16`. */
  title: string;
  /** Folder of the programs. Its name tells versions and recipe: it is made once, and never changed. */
  folder: string;
  /** Packages, and how the program of each is called. */
  programs: { name: string; path: string }[];
  /** For the linker, besides `-s -w`. */
  linkerFlags?: string;
  /** How long it takes on two cores, minutes. */
  minutes: number;
  /** Writes go.mod and what else the module is made of into `run.module`. */
  prepare(run: BuildRun): Promise<void>;
  /** Puts other files of the module beside the programs. */
  complete?(run: BuildRun, folder: string): Promise<void>;
}

/** What the steps of one module's build share. */
export interface BuildRun {
  /** The compiler. */
  go: Go;
  /** Folder with go.mod. */
  module: string;
  /** Gets lines of progress. */
  log: (line: string) => void;
  /** What is built, for errors. */
  title: string;
  /** When the build began, ms of performance.now(). */
  since: number;
  /** What is left to be built after this one, to be appended to a line. */
  left: string;
  /** How often a line of progress comes at the least, ms. */
  everyMs: number;
}

/** A line of progress as often as that shows that it goes on, ms. */
const PROGRESS_MS = 5_000;

/**
 * Builds those modules that the cache does not have, one after the other and one process at a time; at once when it has all.
 *
 * @throws {Error} where there is no Go, no module proxy, or the compiler fails.
 */
export async function buildModules(
  modules: GoModule[],
  log: (line: string) => void,
  everyMs: number = PROGRESS_MS,
): Promise<void> {
  if ((await missing(modules)).length === 0) return;
  const waiting = (ms: number) => log(`Waiting for another build to end, ${seconds(ms)}`);
  await withLock("cluster-build", async () => {
    const left = await missing(modules); // the other build may have made some
    if (left.length > 0) await buildMissing(left, log, everyMs);
  }, waiting);
}

async function missing(modules: GoModule[]): Promise<GoModule[]> {
  const there = await Promise.all(modules.map(({ folder }) => exists(folder)));
  return modules.filter((_, i) => !there[i]);
}

async function buildMissing(modules: GoModule[], log: (line: string) => void, everyMs: number): Promise<void> {
  const since = performance.now();
  const titles = modules.map(({ title }) => title);
  const all = titles.join(", ");
  const minutes = Math.ceil(modules.reduce((sum, module) => sum + module.minutes, 0));
  log(`Building ${all} for the tests, once: ${minutes} to ${2 * minutes} minutes on two cores`);
  const go = await findGo(log);
  const sources = `${cacheFolder()}/cluster/sources`;
  await Deno.remove(sources, { recursive: true }).catch(() => {}); // of a run that was killed
  try {
    for (const [i, module] of modules.entries()) {
      const left = i + 1 < modules.length ? `; then ${titles.slice(i + 1).join(", ")}` : "";
      const run = { go, log, since, left, everyMs, module: `${sources}/${i}`, title: module.title };
      await Deno.mkdir(run.module, { recursive: true });
      await module.prepare(run);
      await makeFolder(module.folder, async (temporary) => {
        for (const program of module.programs) await compile(run, module, `${temporary}/${program.name}`, program);
        await module.complete?.(run, temporary);
      });
    }
  } finally {
    await Deno.remove(sources, { recursive: true });
  }
  log(`Built ${all} in ${seconds(performance.now() - since)}`);
}

/** The go.mod of a version of a module, and the folder with its source; both in Go's own cache. */
export async function downloadModule(
  run: BuildRun,
  module: string,
  version: string,
): Promise<{ goMod: string; folder: string }> {
  await Deno.writeTextFile(`${run.module}/go.mod`, "module download\n\ngo 1.24\n");
  const args = ["mod", "download", "-json", `${module}@${version}`];
  const downloaded = await goCommand(run, args, `Downloading the source of ${run.title}`);
  const { GoMod, Dir } = JSON.parse(downloaded) as { GoMod: string; Dir: string };
  return { goMod: await Deno.readTextFile(GoMod), folder: Dir };
}

/** Copies the folder `NAME/main.go` of ours into the module. */
export async function copyMain(run: BuildRun, sources: URL, name: string): Promise<void> {
  await Deno.mkdir(`${run.module}/${name}`);
  await Deno.copyFile(new URL(`${name}/main.go`, sources), `${run.module}/${name}/main.go`);
}

async function compile(
  run: BuildRun,
  { linkerFlags = "" }: GoModule,
  output: string,
  { name, path }: GoModule["programs"][number],
): Promise<void> {
  const flags = ["-trimpath", "-ldflags", `-s -w ${linkerFlags}`];
  const format = "{{if .Stale}}{{.ImportPath}}{{end}}"; // not yet in the build cache
  const stale = await goCommand(
    run,
    ["list", "-deps", "-f", format, ...flags, path],
    `Downloading the modules of ${name}`,
  );
  const total = stale.trim().split("\n").length;
  await goCommand(run, ["build", "-v", ...flags, "-o", output, path], `Compiling ${name}`, total);
}

/**
 * Runs Go, at low priority, and returns its stdout. Each line on its stderr is one step done (a module downloaded, a package
 * compiled): their number is shown every few seconds.
 */
async function goCommand(run: BuildRun, args: string[], doing: string, total?: number): Promise<string> {
  const { go, module, log, since, everyMs } = run;
  const child = new Deno.Command("nice", {
    args: ["-n", "10", go.command, ...args],
    cwd: module,
    env: go.env,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let steps = 0;
  const report = () => {
    const done = total === undefined ? `${steps} so far` : `${Math.min(steps, total)} of ${total} packages`;
    log(`${doing}: ${done}, ${seconds(performance.now() - since)}${run.left}`);
  };
  report();
  const timer = setInterval(report, everyMs);
  try {
    const said: string[] = [];
    const watch = async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        steps += text.split("\n").length - 1;
        said.push(text);
      }
    };
    const [stdout, { success, code }] = await Promise.all([new Response(child.stdout).text(), child.status, watch()]);
    if (success) return stdout;
    const reason = said.join("").split("\n").filter((line) => !/^go: downloading|^[\w./-]+$/.test(line)).slice(-20)
      .join("\n");
    throw new Error(`Cannot build ${run.title}: "go ${args[0]}" ended with code ${code}: ${reason.trim()}`);
  } finally {
    clearInterval(timer);
  }
}

function seconds(ms: number): string {
  const s = Math.round(ms / 1_000);
  return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min ${s % 60} s`;
}

/** Writes a line to stderr: where progress goes unless told otherwise. */
export function toStderr(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}
