import { createHash } from "node:crypto";
import { parse } from "yaml";
import { type Binaries, binariesIn, controlPlaneModules } from "../build.ts";
import { cacheFolder } from "../cache.ts";
import { buildModules, copyMain, downloadModule, type GoModule, toStderr } from "../go_build.ts";
import { chosenRelease } from "../versions.ts";
import { CALICO, deriveCalicoGoMod } from "./calico_module.ts";

/** CoreDNS, as the Go module proxy has it. */
export const COREDNS = "v1.15.0";

/** The programs of a node and its control plane, by path. */
export interface NodePrograms extends Binaries {
  /** CNI plugin; called by the name `calico-felix`, the daemon for NetworkPolicies. */
  calico: string;
  /** JSON: a list of Calico's CustomResourceDefinitions. */
  calicoDefinitions: string;
  /** The cluster's DNS. */
  coredns: string;
  /** Static program that does nothing until it is told to end. */
  pause: string;
}

const GO_SOURCES = new URL("go/", import.meta.url);

/**
 * The programs, built from the Go module proxy unless the cache has them: what the control plane alone needs, and Calico,
 * CoreDNS and pause (3 minutes more).
 *
 * @throws {Error} where there is no Go, no module proxy, or the compiler fails.
 */
export async function buildNodePrograms(
  options: { release?: string; log?: (line: string) => void } = {},
): Promise<NodePrograms> {
  const { release = chosenRelease(), log = toStderr } = options;
  const controlPlane = await controlPlaneModules(release);
  const [calico, coredns, pause] = await Promise.all([calicoModule(), corednsModule(), ownModule("pause")]);
  await buildModules([pause, ...Object.values(controlPlane), coredns, calico], log);
  return {
    ...binariesIn(controlPlane, release),
    calico: `${calico.folder}/calico`,
    calicoDefinitions: `${calico.folder}/definitions.json`,
    coredns: `${coredns.folder}/coredns`,
    pause: `${pause.folder}/pause`,
  };
}

async function calicoModule(): Promise<GoModule> {
  let source: string;
  return {
    title: "Calico v3.28",
    folder: await folderOf("calico", CALICO, deriveCalicoGoMod.toString()),
    minutes: 2,
    programs: [{ name: "calico", path: "./calico" }],
    async prepare(run): Promise<void> {
      const { goMod, folder } = await downloadModule(run, "github.com/projectcalico/calico", CALICO);
      source = folder;
      await Deno.writeTextFile(`${run.module}/go.mod`, deriveCalicoGoMod(goMod));
      await copyMain(run, GO_SOURCES, "calico");
    },
    async complete(_, folder): Promise<void> {
      const files = await Array.fromAsync(Deno.readDir(`${source}/libcalico-go/config/crd`));
      const names = files.map(({ name }) => name).filter((name) => name.endsWith(".yaml")).sort();
      const texts = await Promise.all(
        names.map((name) => Deno.readTextFile(`${source}/libcalico-go/config/crd/${name}`)),
      );
      await Deno.writeTextFile(`${folder}/definitions.json`, JSON.stringify(texts.map((text) => parse(text))));
    },
  };
}

async function corednsModule(): Promise<GoModule> {
  return {
    title: `CoreDNS ${COREDNS}`,
    folder: await folderOf("coredns", COREDNS),
    minutes: 1,
    programs: [{ name: "coredns", path: "./coredns" }],
    async prepare(run): Promise<void> {
      const goMod = `module coredns\n\ngo 1.24\n\nrequire github.com/coredns/coredns ${COREDNS}\n`;
      await Deno.writeTextFile(`${run.module}/go.mod`, goMod);
      await copyMain(run, GO_SOURCES, "coredns");
    },
  };
}

/** A program of ours that needs nothing but Go itself: a folder of `go/`. */
export async function ownModule(name: "pause" | "denort"): Promise<GoModule> {
  return {
    title: name,
    folder: await folderOf(name, ""),
    minutes: 0.2,
    programs: [{ name, path: `./${name}` }],
    async prepare(run): Promise<void> {
      await Deno.writeTextFile(`${run.module}/go.mod`, `module ${name}\n\ngo 1.24\n`);
      await copyMain(run, GO_SOURCES, name);
    },
  };
}

/** Named after all that decides what is in it. */
async function folderOf(name: string, version: string, recipe = ""): Promise<string> {
  const main = await Deno.readTextFile(new URL(`${name}/main.go`, GO_SOURCES));
  const hash = createHash("sha256").update(Deno.build.arch).update(version).update(recipe).update(main);
  return `${cacheFolder()}/cluster/${name}-${hash.digest("hex").slice(0, 8)}`;
}

if (import.meta.main) {
  for (const path of Object.values(await buildNodePrograms())) {
    Deno.stdout.writeSync(new TextEncoder().encode(`${path}\n`));
  }
}
