import { createHash } from "node:crypto";
import { cacheFolder, exists, makeFolder, withLock } from "../cache.ts";
import { buildModules, toStderr } from "../go_build.ts";
import { filesOf, readFile, ROOT } from "../../support/tree.ts";
import { ownModule } from "./programs.ts";

/** What must be said wherever the program that this makes is used. */
export const STAND_IN =
  "data-spacer: compiled by `deno compile` on a stand-in for denort, which hands the packed program to the image's own deno; " +
  "that denort itself runs it is not shown";

/** What stands in for denort, built once on a machine. */
export async function standInDenort(log: (line: string) => void = toStderr): Promise<string> {
  const module = await ownModule("denort");
  await buildModules([module], log);
  return `${module.folder}/denort`;
}

/** Digest of all that the Dockerfile's build stage sees: what .dockerignore lets through, and Deno's version. */
export async function sourceDigest(): Promise<string> {
  const ignore = await readFile(".dockerignore");
  const wanted = [...ignore.matchAll(/^!(.*)$/gm)].map((match) => match[1]!);
  const files = (await filesOf()).filter((file) => wanted.some((path) => file === path || file.startsWith(`${path}/`)));
  const hash = createHash("sha256").update(Deno.version.deno);
  for (const file of files) hash.update(`\n${file}\n`).update(await readFile(file));
  return hash.digest("hex").slice(0, 12);
}

/**
 * The program of the image, compiled as the Dockerfile does, with the stand-in: to run, it needs `deno` in PATH. Kept in the cache.
 *
 * @throws {Error} with what the compilation said.
 */
export async function compileForImage(log: (line: string) => void = toStderr): Promise<string> {
  const denort = await standInDenort(log);
  const programs = `${cacheFolder()}/compiled`;
  const folder = `${programs}/${await sourceDigest()}-${denort.slice(-15, -7)}`;
  await withLock("compiled", async () => {
    if (await exists(folder)) return;
    await Deno.remove(programs, { recursive: true }).catch(() => {}); // of older sources
    await makeFolder(folder, async (temporary) => {
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "--quiet", "compile", "--for=image", `--output=${temporary}/data-spacer`],
        cwd: ROOT,
        env: { DENORT_BIN: denort, PATH: `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}` },
        stdin: "null",
      }).output();
      if (!success) throw new Error(`Cannot make the image data-spacer: ${new TextDecoder().decode(stderr).trim()}`);
    });
  });
  return `${folder}/data-spacer`;
}
