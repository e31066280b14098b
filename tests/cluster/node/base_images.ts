import { withLock } from "../cache.ts";
import { type ImageArchive, makeOnce, type Recipe } from "./image_cache.ts";
import { addBusybox, staticBusybox } from "./image_roots.ts";
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
      key: `${busybox.digest} ${addBusybox}`,
      fill: (root) => addBusybox(root, busybox.path),
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
