import { createHash } from "node:crypto";
import { cacheFolder, exists, makeFolder, withLock } from "./cache.ts";
import { deriveGoMod } from "./go_mod.ts";
import { findGo, type Go } from "./toolchain.ts";
import { chosenRelease, ETCD } from "./versions.ts";

/** The programs of one release, by path. */
export interface Binaries {
  /** For example `v1.36.3`. */
  release: string;
  /** All Kubernetes servers in one; its first argument names the program. */
  kc: string;
  /** The command-line client. */
  kubectl: string;
  /** The data store. */
  etcd: string;
}

/** Options of {@linkcode build}. */
export interface BuildOptions {
  /** Gets each line of progress; by default they go to stderr. */
  log?: (line: string) => void;
  /** Kubernetes release; by default the chosen one (versions.ts). */
  release?: string;
}

const GO_SOURCES = new URL("go/", import.meta.url);
const PROGRAMS = ["kc", "kubectl"] as const;
const PROGRESS_MS = 5_000;

/**
 * The programs of a release, built from the Go module proxy unless the cache has them: at once when warm, 6 to 12 minutes
 * and 5 GB of cache when cold. The cache's folders are named after the version and a hash of the recipe, and appear whole.
 *
 * @throws {Error} where there is no Go, no module proxy, or the compiler fails.
 */
export async function build(options: BuildOptions = {}): Promise<Binaries> {
  const { log = toStderr, release = chosenRelease() } = options;
  const folders = await binaryFolders(release);
  const missing = async () => !(await exists(folders.kubernetes) && await exists(folders.etcd));
  if (await missing()) {
    const waiting = (ms: number) => log(`Waiting for another build of Kubernetes to end, ${seconds(ms)}`);
    await withLock("cluster-build", async () => {
      if (await missing()) await buildCold(release, folders, log);
    }, waiting);
  }
  const { kubernetes, etcd } = folders;
  return { release, kc: `${kubernetes}/kc`, kubectl: `${kubernetes}/kubectl`, etcd: `${etcd}/etcd` };
}

interface Folders {
  kubernetes: string;
  etcd: string;
}

async function binaryFolders(release: string): Promise<Folders> {
  const hash = createHash("sha256").update(Deno.build.arch).update(linkerFlags(release)).update(deriveGoMod.toString());
  for (const program of PROGRAMS) hash.update(await Deno.readTextFile(new URL(`${program}/main.go`, GO_SOURCES)));
  const base = `${cacheFolder()}/cluster`;
  return {
    kubernetes: `${base}/kubernetes-${release}-${hash.digest("hex").slice(0, 8)}`,
    etcd: `${base}/etcd-${ETCD}-${Deno.build.arch}`,
  };
}

async function buildCold(release: string, folders: Folders, log: (line: string) => void): Promise<void> {
  const start = performance.now();
  log(`Building Kubernetes ${release} and etcd ${ETCD} for the tests, once: 6 to 12 minutes on two cores`);
  const go = await findGo(log);
  const sources = `${cacheFolder()}/cluster/sources`;
  await Deno.remove(sources, { recursive: true }).catch(() => {}); // of a run that was killed
  await Deno.mkdir(sources, { recursive: true });
  const stages = [
    {
      folder: folders.etcd,
      prepare: etcdModule,
      packages: [{ name: "etcd", path: "go.etcd.io/etcd/server/v3" }],
      flags: "",
    },
    {
      folder: folders.kubernetes,
      prepare: kubernetesModule,
      packages: PROGRAMS.map((name) => ({ name, path: `./${name}` })),
      flags: linkerFlags(release),
    },
  ];
  try {
    for (const [i, { folder, prepare, packages, flags }] of stages.entries()) {
      if (await exists(folder)) continue;
      const module = `${sources}/${i}`;
      const run = { go, module, log, since: start };
      await Deno.mkdir(module);
      await prepare(run, release);
      await makeFolder(folder, async (temporary) => {
        for (const { name, path } of packages) {
          await compile(run, { name, path, output: `${temporary}/${name}`, linkerFlags: `-s -w ${flags}` });
        }
      });
    }
  } finally {
    await Deno.remove(sources, { recursive: true });
  }
  log(`Built Kubernetes ${release} and etcd ${ETCD} in ${seconds(performance.now() - start)}`);
}

/** What all steps of one build share. */
interface Run {
  go: Go;
  /** Folder with go.mod. */
  module: string;
  log: (line: string) => void;
  /** When the build began, ms of performance.now(). */
  since: number;
}

async function etcdModule({ module }: Run): Promise<void> {
  await Deno.writeTextFile(`${module}/go.mod`, `module etcd\n\ngo 1.24\n\nrequire go.etcd.io/etcd/server/v3 ${ETCD}\n`);
}

async function kubernetesModule(run: Run, release: string): Promise<void> {
  await Deno.writeTextFile(`${run.module}/go.mod`, "module download\n\ngo 1.24\n");
  const args = ["mod", "download", "-json", `k8s.io/kubernetes@${release}`];
  const downloaded = await goCommand(run, args, `Downloading the source of Kubernetes ${release}`);
  const upstream = await Deno.readTextFile((JSON.parse(downloaded) as { GoMod: string }).GoMod);
  await Deno.writeTextFile(`${run.module}/go.mod`, deriveGoMod(upstream, release));
  for (const program of PROGRAMS) {
    await Deno.mkdir(`${run.module}/${program}`);
    await Deno.copyFile(new URL(`${program}/main.go`, GO_SOURCES), `${run.module}/${program}/main.go`);
  }
}

async function compile(
  run: Run,
  target: { name: string; path: string; output: string; linkerFlags: string },
): Promise<void> {
  const { name, path, output } = target;
  const flags = ["-trimpath", "-ldflags", target.linkerFlags];
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
 * Runs Go and returns its stdout. Each line on its stderr is one step done (a module downloaded, a package compiled): their
 * number is shown every few seconds.
 */
async function goCommand(run: Run, args: string[], doing: string, total?: number): Promise<string> {
  const { go, module, log, since } = run;
  const child = new Deno.Command(go.command, { args, cwd: module, env: go.env, stdout: "piped", stderr: "piped" })
    .spawn();
  let steps = 0;
  const report = () => {
    const done = total === undefined ? `${steps} so far` : `${Math.min(steps, total)} of ${total} packages`;
    log(`${doing}: ${done}, ${seconds(performance.now() - since)}`);
  };
  report();
  const timer = setInterval(report, PROGRESS_MS);
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
    throw new Error(`Cannot build Kubernetes: "go ${args[0]}" ended with code ${code}: ${reason.trim()}`);
  } finally {
    clearInterval(timer);
  }
}

/** The version that the binaries report; without it they call themselves v0.0.0-master and fail to parse that. */
function linkerFlags(release: string): string {
  const [major, minor] = release.slice(1).split(".");
  const values = {
    gitVersion: release,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: "archive",
    gitCommit: "0".repeat(40),
    buildDate: "2026-01-01T00:00:00Z",
  };
  return ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]
    .flatMap((path) => Object.entries(values).map(([name, value]) => `-X ${path}.${name}=${value}`)).join(" ");
}

function seconds(ms: number): string {
  const s = Math.round(ms / 1_000);
  return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min ${s % 60} s`;
}

function toStderr(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  const { kc, kubectl, etcd } = await build();
  Deno.stdout.writeSync(new TextEncoder().encode(`${kc}\n${kubectl}\n${etcd}\n`));
}
