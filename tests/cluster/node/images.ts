import { withLock } from "../cache.ts";
import { toStderr } from "../go_build.ts";
import { ENVOY, installEnvoy } from "../../net/tools.ts";
import { installMissing } from "../../support/debian_packages.ts";
import { readFile, ROOT } from "../../support/tree.ts";
import { compileForImage, STAND_IN } from "./compiled.ts";
import { readStage, type Stage } from "./dockerfile.ts";
import type { ImageOptions } from "./oci_archive.ts";
import { type ImageArchive, makeOnce, makeTogether, type Recipe } from "./image_cache.ts";
import {
  addBusybox,
  addDistroless,
  addFile,
  addIptables,
  addPrograms,
  extensions,
  fingerprint,
  staticBusybox,
} from "./image_roots.ts";

/** Commands that go into images, each with the Debian package that brings it. */
const COMMANDS: Record<string, string> = {
  "/bin/busybox": "busybox-static",
  "/usr/bin/curl": "curl",
  "/usr/bin/python3": "python3",
  "/usr/bin/socat": "socat",
  "/usr/sbin/nft": "nftables",
  "/usr/sbin/xtables-legacy-multi": "iptables",
  "/usr/sbin/xtables-nft-multi": "iptables",
};

/** Names of the images. */
export const TEST_IMAGES = {
  /** Controller and webhook. */
  controller: "localhost/data-spacer:1",
  /** Sets the redirect rules. */
  init: "localhost/data-spacer-init:1",
  /** Envoy. */
  proxy: "localhost/envoy:1",
  /** The demo's data. */
  hospital: "localhost/hospital-app:1",
  /** The demo's offloaded app. */
  pharma: "localhost/pharma-app:1",
  /** For client Pods: busybox with all applets, curl, iptables, nft and socat. */
  tools: "localhost/tools:1",
} as const;

/** What images inherit from their bases; here those are stand-ins (addDistroless). */
export const BASES: Record<"distroless" | "deno", { user?: string; env: Record<string, string>; workingDir: string }> =
  {
    distroless: { user: "65532", env: {}, workingDir: "/home/nonroot" },
    deno: { env: { DENO_DIR: "/deno-dir/" }, workingDir: "/" },
  };

/** What recipes share. */
interface Sources {
  /** Path of Deno. */
  deno: string;
  /** What the files of this machine are, for keys. */
  machine: string;
}

/**
 * The images of {@linkcode TEST_IMAGES}, as files of the cache: what has not changed is not made again. Those with Deno in them are
 * in one file, which is to be imported once.
 *
 * @throws {Error} where a Debian package is missing and cannot be installed, or the program does not compile.
 */
export async function buildImages(options: { log?: (line: string) => void } = {}): Promise<ImageArchive[]> {
  const { log = toStderr } = options;
  await withLock("packages", () => installMissing(COMMANDS, log));
  const deno = await Deno.realPath(Deno.execPath());
  const code = await Promise.all(
    ["images.ts", "image_roots.ts", "dockerfile.ts"].map((name) => readFile(`tests/cluster/node/${name}`)),
  );
  const machine = await fingerprint([deno, ...Object.keys(COMMANDS), ...await extensions()]);
  const sources = { deno, machine: machine + code.join("") };
  return await withLock("images", async () => {
    log(STAND_IN);
    const ours = [
      await controllerImage(sources, await compileForImage(log)),
      await appImage(sources, { ref: TEST_IMAGES.hospital, folder: "hospital-app" }),
      await appImage(sources, { ref: TEST_IMAGES.pharma, folder: "pharma-app" }),
    ];
    const others = [
      await initImage(sources),
      proxyImage(sources, await withLock("net-tools", installEnvoy)),
      toolsImage(sources),
    ];
    const withDeno = makeTogether("deno-images", ours, async (root) => {
      await addDistroless(root, deno);
      await addFile(root, "/bin/deno", deno);
    });
    return [...await withDeno, ...await Promise.all(others.map(makeOnce))];
  });
}

async function controllerImage({ machine }: Sources, program: string): Promise<Recipe> {
  const stage = readStage(await readFile("Dockerfile"));
  return {
    ref: TEST_IMAGES.controller,
    key: `${machine} ${program}`,
    fill: (root) => addFile(root, stage.entrypoint![0]!, program),
    options: imageOptions(stage, BASES.distroless),
  };
}

async function initImage({ machine }: Sources): Promise<Recipe> {
  return {
    ref: TEST_IMAGES.init,
    key: machine,
    async fill(root): Promise<void> {
      await addIptables(root);
      await addFile(root, "/bin/busybox", (await staticBusybox()).path);
      for (const applet of ["sh", "nc", "tftp"]) await Deno.symlink("busybox", `${root}/bin/${applet}`);
    },
    options: imageOptions(readStage(await readFile("Dockerfile"), "init"), { env: {}, workingDir: "/" }),
  };
}

function proxyImage({ deno, machine }: Sources, envoy: string): Recipe {
  const path = "/usr/local/bin/envoy";
  return {
    ref: TEST_IMAGES.proxy,
    key: `${machine} ${ENVOY.version}`,
    async fill(root): Promise<void> {
      await addDistroless(root, deno);
      await addFile(root, path, envoy);
    },
    options: { ...BASES.distroless, entrypoint: [path] },
  };
}

async function appImage({ machine }: Sources, app: { ref: string; folder: string }): Promise<Recipe> {
  const stage = readStage(await readFile(`demo/${app.folder}/Dockerfile`));
  const texts = await Promise.all(stage.copies.map(({ from }) => readFile(`demo/${from}`)));
  return {
    ref: app.ref,
    key: `${machine} ${JSON.stringify([stage, texts])}`,
    async fill(root): Promise<void> {
      for (const { from, to } of stage.copies) await addFile(root, to, `${ROOT}demo/${from}`);
    },
    options: imageOptions(stage, BASES.deno),
  };
}

function toolsImage({ machine }: Sources): Recipe {
  return {
    ref: TEST_IMAGES.tools,
    key: machine,
    async fill(root): Promise<void> {
      await addBusybox(root, (await staticBusybox()).path);
      await addIptables(root);
      for (const tool of ["iptables", "ip6tables"]) await Deno.symlink("xtables-nft-multi", `${root}/usr/sbin/${tool}`);
      await addPrograms(root, ["/usr/bin/curl", "/usr/bin/socat", "/usr/sbin/nft"]);
    },
    options: { cmd: ["sh"] },
  };
}

function imageOptions(
  { copies: _, env, ...stage }: Stage,
  base: Partial<ImageOptions>,
): NonNullable<Recipe["options"]> {
  return { ...base, ...stage, env: { ...base.env, ...env } };
}

if (import.meta.main) {
  for (const { ref, archive } of await buildImages()) {
    const { size } = await Deno.stat(archive);
    Deno.stdout.writeSync(new TextEncoder().encode(`${ref} in ${archive}, ${(size / 1e6).toFixed(1)} MB\n`));
  }
}
