import { createHash } from "node:crypto";
import { cacheFolder, exists, withLock } from "../cache.ts";
import { type ImageOptions, makeArchives } from "./oci_archive.ts";
import type { NodePrograms } from "./programs.ts";

/** Names of the images that every node has. */
export const IMAGES = {
  /** The container that holds a Pod's namespaces. */
  pause: "localhost/pause:1",
  /** The cluster's DNS. */
  coredns: "localhost/coredns:1",
  /** A shell and all of busybox's applets, for Pods of tests. */
  busybox: "localhost/busybox:1",
} as const;

/** How long an archive is kept that nobody uses, ms. */
const UNUSED_MS = 3_600_000;

/** An image in a file. */
export interface ImageArchive {
  /** Its name. */
  ref: string;
  /** OCI image layout in a tar. */
  archive: string;
}

/** How an image is made. */
export interface Recipe {
  /** Its name. */
  ref: string;
  /** All that decides what is in it, besides the text of `fill`. */
  key: string;
  /** Fills the folder that is its root. */
  fill(root: string): Promise<void>;
  /** What a container of it runs, and as whom. */
  options?: Omit<ImageOptions, "ref">;
}

/**
 * The images of {@linkcode IMAGES}, made once and kept in the cache.
 *
 * @throws {Error} where there is no static busybox.
 */
export async function baseImages(programs: NodePrograms): Promise<ImageArchive[]> {
  const busybox = await staticBusybox();
  const recipes: Recipe[] = [
    single(IMAGES.pause, programs.pause),
    single(IMAGES.coredns, programs.coredns),
    {
      ref: IMAGES.busybox,
      key: busybox.digest,
      fill: (root) => fillBusybox(root, busybox.path),
      options: { cmd: ["sh"] },
    },
  ];
  return await withLock("base-images", () => Promise.all(recipes.map(makeOnce)));
}

/** An image with nothing but a static program. The path of the program tells its version. */
function single(ref: string, program: string): Recipe {
  const name = program.slice(program.lastIndexOf("/") + 1);
  const fill = (root: string) => Deno.copyFile(program, `${root}/${name}`);
  return { ref, key: program, fill, options: { entrypoint: [`/${name}`] } };
}

/** Makes an image unless the cache has it. What nobody has used for an hour goes from the cache when one is made. */
export async function makeOnce(recipe: Recipe): Promise<ImageArchive> {
  const [image] = await makeTogether(recipe.ref.replace(/^.*\//, "").replace(":", "-"), [recipe]);
  return image!;
}

/**
 * The same for several images in one archive, with one layer each above the one that they share.
 *
 * @param name of the archive.
 * @param base fills the folder that they share; absent: they share nothing.
 */
export async function makeTogether(
  name: string,
  recipes: Recipe[],
  base?: (root: string) => Promise<void>,
): Promise<ImageArchive[]> {
  const parts = recipes.map(({ ref, key, fill, options }) => `${ref} ${key} ${fill} ${JSON.stringify(options)}`);
  const functions = [fillBusybox, makeArchives, makeTogether, base];
  const hash = createHash("sha256").update([...parts, ...functions].join("\n")).digest("hex").slice(0, 8);
  const folder = `${cacheFolder()}/images`;
  const archive = `${folder}/${name}-${hash}.tar`;
  if (await exists(archive)) {
    await Deno.utime(archive, new Date(), new Date());
  } else {
    await removeUnused(folder);
    const roots = await Deno.makeTempDir({ prefix: "data-spacer-images-" });
    try {
      const filled = async (root: string, fill: (root: string) => Promise<void>) => {
        await Deno.mkdir(root);
        await fill(root);
        return root;
      };
      const shared = base === undefined ? [] : [await filled(`${roots}/base`, base)];
      const images = recipes.map(async ({ ref, fill, options }, i) => {
        return { ...options, ref, layers: [...shared, await filled(`${roots}/${i}`, fill)] };
      });
      await makeArchives(archive, await Promise.all(images));
    } finally {
      await Deno.remove(roots, { recursive: true });
    }
  }
  return recipes.map(({ ref }) => ({ ref, archive }));
}

async function removeUnused(folder: string): Promise<void> {
  if (!await exists(folder)) return;
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".tar")) continue;
    try {
      const { mtime } = await Deno.stat(`${folder}/${name}`);
      if (mtime!.getTime() < Date.now() - UNUSED_MS) await Deno.remove(`${folder}/${name}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // another one was quicker
    }
  }
}

/** Busybox with all its applets in `/bin`, and two users. */
export async function fillBusybox(root: string, busybox: string): Promise<void> {
  for (const folder of ["bin", "etc", "root", "tmp"]) await Deno.mkdir(`${root}/${folder}`);
  await Deno.chmod(`${root}/tmp`, 0o1777);
  await Deno.copyFile(busybox, `${root}/bin/busybox`);
  const { stdout } = await new Deno.Command(busybox, { args: ["--list"] }).output();
  for (const applet of new TextDecoder().decode(stdout).trim().split("\n")) {
    if (applet !== "busybox") await Deno.symlink("busybox", `${root}/bin/${applet}`);
  }
  await Deno.writeTextFile(`${root}/etc/passwd`, "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n");
  await Deno.writeTextFile(`${root}/etc/group`, "root:x:0:\napp:x:1000:\n");
}

/** Busybox of this machine. @throws {Error} if it is not static. */
export async function staticBusybox(): Promise<{ path: string; digest: string }> {
  const path = "/bin/busybox";
  const bytes = await Deno.readFile(path);
  // the dynamic linker's path stands in every program that needs one
  if (new TextDecoder("latin1").decode(bytes.subarray(0, 4_096)).includes("/ld-linux")) {
    throw new Error(`Cannot make ${IMAGES.busybox}: ${path} is not static; install the package busybox-static`);
  }
  return { path, digest: createHash("sha256").update(bytes).digest("hex") };
}
