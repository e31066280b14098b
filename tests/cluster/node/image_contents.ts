import { createHash } from "node:crypto";
import { must } from "../../net/tools.ts";
import type { ImageArchive } from "./image_cache.ts";
import type { ImageConfig } from "./buildah.ts";

/** One file, folder or link of an image: `rwx` bits and owner, what a link names, the digest of a file. */
export interface Entry {
  kind: "file" | "folder" | "link";
  /** Octal, with the owner: `755 0:0`. */
  access: string;
  /** Where a link points. */
  target?: string;
  /** SHA-256 of a file. */
  digest?: string;
}

/** All that is in a folder and below, by path. */
export async function entriesOf(root: string, path = ""): Promise<Record<string, Entry>> {
  const entries: Record<string, Entry> = {};
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(root + path)) {
    const own = `${path}/${name}`;
    const { mode, uid, gid } = await Deno.lstat(root + own);
    const access = `${(mode! & 0o7777).toString(8)} ${uid}:${gid}`;
    if (isDirectory) Object.assign(entries, { [own]: { kind: "folder", access } }, await entriesOf(root, own));
    else if (isSymlink) entries[own] = { kind: "link", access, target: await Deno.readLink(root + own) };
    else entries[own] = { kind: "file", access, digest: await digestOf(root + own) };
  }
  return entries;
}

async function digestOf(path: string): Promise<string> {
  return createHash("sha256").update(await Deno.readFile(path)).digest("hex");
}

/** Unpacks an image of an archive of ours into a temporary folder, and hands it over with the configuration. */
export async function withArchive<T>(
  { ref, archive }: ImageArchive,
  look: (root: string, config: ImageConfig) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "data-spacer-unpacked-" });
  try {
    await must(["tar", "-C", folder, "-xf", archive]);
    const blob = (digest: string) => `${folder}/blobs/sha256/${digest.replace("sha256:", "")}`;
    const json = async (file: string) => JSON.parse(await Deno.readTextFile(file));
    const { manifests } = await json(`${folder}/index.json`) as { manifests: Named[] };
    const { digest } = manifests.find(({ annotations }) => annotations["io.containerd.image.name"] === ref)!;
    const manifest = await json(blob(digest)) as { config: { digest: string }; layers: { digest: string }[] };
    const { config } = await json(blob(manifest.config.digest));
    await Deno.mkdir(`${folder}/root`);
    for (const layer of manifest.layers) await must(["tar", "-C", `${folder}/root`, "-xpf", blob(layer.digest)]);
    return await look(`${folder}/root`, config);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface Named {
  digest: string;
  annotations: Record<string, string>;
}

/** What `deno compile` packed into a program: its own description, and the one file of the bundle. */
export interface Packed {
  permissions: Record<string, unknown>;
  v8_flags: string[];
  /** Text of the bundle. */
  bundle: string;
}

/**
 * Reads what `deno compile` packed. Where npm's packages lay at the builder, which the bundle tells, is left out.
 *
 * @throws {Error} where there is nothing.
 */
export async function readPacked(program: string): Promise<Packed> {
  const bytes = await Deno.readFile(program);
  const text = new TextDecoder("latin1").decode(bytes); // one character a byte
  const start = "d3n0l4nd".repeat(2);
  const at = text.indexOf(start) + start.length;
  if (at < start.length) throw new Error(`Cannot read ${program}: nothing is packed in it`);
  const sized = (from: number) => {
    const end = from + 8 + Number(new DataView(bytes.buffer).getBigUint64(from, true));
    return { part: new TextDecoder().decode(bytes.subarray(from + 8, end)), end };
  };
  const { permissions, v8_flags } = JSON.parse(sized(at).part);
  const bundle = sized(sized(text.indexOf('[{"File":', at) - 8).end).part;
  return { permissions, v8_flags, bundle: bundle.replaceAll(/(\.\.\/)+[^"\s]*\/npm\//g, "npm/") };
}
