import { cacheFolder, exists, withLock } from "../cache.ts";
import { toStderr } from "../go_build.ts";
import { must } from "../../net/tools.ts";
import { standInDenort } from "./compiled.ts";
import { addDistroless, addFile } from "./image_roots.ts";
import { BASES } from "./images.ts";
import type { Buildah } from "./buildah.ts";
import { PATH } from "./oci_archive.ts";

/** What the stand-ins cannot show, one sentence each. */
export const NOT_SHOWN = [
  "that the bases can be pulled: they are made here, of a Debian from its mirror and of this machine's C library and Deno",
  "that the builder can fetch npm's packages: it has those of this machine",
  "the compiled binary itself: it begins with a stand-in for denort, so that all around it is real, but needs a deno to run",
];

/** Debian that the stand-ins are made of. */
const SUITE = "bookworm";

/**
 * Makes images of this machine's programs under the names that the Dockerfiles have by default.
 *
 * @param names by ARG: `DENO`, `DEBIAN`, `DISTROLESS`; `APP`, of the demo's.
 * @throws {Error} with what went wrong.
 */
export async function makeStandIns(
  buildah: Buildah,
  names: { DENO: string; DEBIAN: string; DISTROLESS: string; APP: string },
  log: (line: string) => void = toStderr,
): Promise<void> {
  const deno = await Deno.realPath(Deno.execPath());
  const debian = await debianRoot(log);
  const denort = await standInDenort(log);
  const start = (program: string) => ["--entrypoint", JSON.stringify([program]), "--cmd", "eval 0"];
  await buildah.base(names.DEBIAN, [debian], configOf({ env: {}, workingDir: "/" }));
  await withFolder(async (root) => {
    await addDistroless(root, deno);
    await addFile(root, "/bin/sh", "/bin/busybox");
    await addFile(root, "/usr/bin/deno", deno);
    await addFile(root, "/usr/lib/denort", denort);
    await addNpmPackages(`${root}/deno-dir`);
    const env = { DENO_DIR: "/deno-dir/", DENORT_BIN: "/usr/lib/denort" };
    await buildah.base(names.DENO, [root], [...configOf({ env, workingDir: "/" }), ...start("/usr/bin/deno")]);
  });
  await withFolder(async (root) => {
    await addDistroless(root, deno);
    await buildah.base(names.DISTROLESS, [root], configOf(BASES.distroless));
    await addFile(root, "/bin/deno", deno);
    await buildah.base(names.APP, [root], [...configOf(BASES.deno), ...start("/bin/deno")]);
  });
}

async function withFolder(use: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "data-spacer-stand-in-" });
  try {
    await Deno.chmod(root, 0o755);
    await use(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function configOf(
  { user, env, workingDir }: { user?: string; env: Record<string, string>; workingDir: string },
): string[] {
  const variables = Object.entries({ PATH, ...env }).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  return [...variables, "--workingdir", workingDir, ...(user === undefined ? [] : ["--user", user])];
}

/** A small Debian in a tar, made once on a machine from Debian's mirror. */
async function debianRoot(log: (line: string) => void): Promise<string> {
  const tar = `${cacheFolder()}/debian-${SUITE}-slim-${Deno.build.arch}.tar`;
  await withLock("debian", async () => {
    if (await exists(tar)) return;
    log(`Making a Debian ${SUITE} for the test of the Dockerfiles, once: about 30 s`);
    const without = ["doc", "info", "locale", "man"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
    const command = ["mmdebstrap", "--quiet", "--variant=apt", "--format=tar", ...without, SUITE];
    await must([...command, `${tar}.unfinished`]);
    await Deno.rename(`${tar}.unfinished`, tar);
  });
  return tar;
}

/** npm's packages and the bundler, from the cache of the Deno that runs us. */
async function addNpmPackages(folder: string): Promise<void> {
  const { denoDir } = JSON.parse(await must([Deno.execPath(), "info", "--json"])) as { denoDir: string };
  await Deno.mkdir(folder);
  for (const part of ["npm", "dl"]) await must(["cp", "-a", `${denoDir}/${part}`, `${folder}/${part}`]);
}
