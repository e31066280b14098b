import { createHash } from "node:crypto";
import { cacheFolder, exists } from "../cache.ts";
import { type ImageOptions, makeArchives } from "./oci_archive.ts";

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
  const functions = [makeArchives, makeTogether, base];
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
