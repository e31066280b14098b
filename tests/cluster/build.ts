import { createHash } from "node:crypto";
import { cacheFolder } from "./cache.ts";
import { buildModules, copyMain, downloadModule, type GoModule, toStderr } from "./go_build.ts";
import { deriveGoMod } from "./go_mod.ts";
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

/**
 * The programs of a release, built from the Go module proxy unless the cache has them: at once when warm, 6 to 12 minutes
 * and 5 GB of cache when cold. The cache's folders are named after the version and a hash of the recipe, and appear whole.
 *
 * @throws {Error} where there is no Go, no module proxy, or the compiler fails.
 */
export async function build(options: BuildOptions = {}): Promise<Binaries> {
  const { log = toStderr, release = chosenRelease() } = options;
  const modules = await controlPlaneModules(release);
  await buildModules(Object.values(modules), log);
  return binariesIn(modules, release);
}

/** The modules of {@linkcode build}. */
export interface ControlPlaneModules {
  /** The data store. */
  etcd: GoModule;
  /** All else. */
  kubernetes: GoModule;
}

/** What to build for a release. */
export async function controlPlaneModules(release: string): Promise<ControlPlaneModules> {
  const hash = createHash("sha256").update(Deno.build.arch).update(linkerFlags(release)).update(deriveGoMod.toString());
  for (const program of PROGRAMS) hash.update(await Deno.readTextFile(new URL(`${program}/main.go`, GO_SOURCES)));
  const base = `${cacheFolder()}/cluster`;
  return {
    etcd: {
      title: `etcd ${ETCD}`,
      folder: `${base}/etcd-${ETCD}-${Deno.build.arch}`,
      minutes: 0.5,
      programs: [{ name: "etcd", path: "go.etcd.io/etcd/server/v3" }],
      prepare: ({ module }) =>
        Deno.writeTextFile(`${module}/go.mod`, `module etcd\n\ngo 1.24\n\nrequire go.etcd.io/etcd/server/v3 ${ETCD}\n`),
    },
    kubernetes: {
      title: `Kubernetes ${release}`,
      folder: `${base}/kubernetes-${release}-${hash.digest("hex").slice(0, 8)}`,
      minutes: 5.5,
      programs: PROGRAMS.map((name) => ({ name, path: `./${name}` })),
      linkerFlags: linkerFlags(release),
      async prepare(run): Promise<void> {
        const { goMod } = await downloadModule(run, "k8s.io/kubernetes", release);
        await Deno.writeTextFile(`${run.module}/go.mod`, deriveGoMod(goMod, release));
        for (const program of PROGRAMS) await copyMain(run, GO_SOURCES, program);
      },
    },
  };
}

/** Where the programs are once the modules are built. */
export function binariesIn({ etcd, kubernetes }: ControlPlaneModules, release: string): Binaries {
  return {
    release,
    kc: `${kubernetes.folder}/kc`,
    kubectl: `${kubernetes.folder}/kubectl`,
    etcd: `${etcd.folder}/etcd`,
  };
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

if (import.meta.main) {
  const { kc, kubectl, etcd } = await build();
  Deno.stdout.writeSync(new TextEncoder().encode(`${kc}\n${kubectl}\n${etcd}\n`));
}
