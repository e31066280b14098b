import { createHash } from "node:crypto";

/** What an image is, besides its files. */
export interface ImageOptions {
  /** Its whole name, for example `localhost/pause:1`. Nothing is ever pulled under it. */
  ref: string;
  /** What a container runs. */
  entrypoint?: string[];
  /** Arguments, where a Pod gives none. */
  cmd?: string[];
  /** Who runs it, as numbers: `65532:65532`. Absent: root. containerd 1.6 heeds no group but a Pod's `runAsGroup`. */
  user?: string;
  /** Variables besides PATH. */
  env?: Record<string, string>;
  /** By default `/`. */
  workingDir?: string;
}

/** A blob of an image, as a manifest names it. */
interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

const TYPE = "application/vnd.oci.image";
/** Where programs are looked for, unless an image says otherwise. */
export const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PLATFORM = { architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64", os: "linux" };

/** Same files, same bytes: whoever made them and whenever. */
const REPRODUCIBLE = "--format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner".split(" ");

/**
 * Packs the folder `root` as an image with one layer, as {@linkcode makeArchives} does.
 *
 * @returns digest of the image, `sha256:…`: the same for the same files and options.
 * @throws {Error} with what tar said.
 */
export async function makeArchive(root: string, options: ImageOptions & { archive: string }): Promise<string> {
  const { archive, ...image } = options;
  return (await makeArchives(archive, [{ ...image, layers: [root] }]))[0]!;
}

/**
 * Packs images into one OCI image layout in a tar. Each layer is a folder; a folder that several images have in common is in it
 * once, and is imported once. All files belong to root and keep their modes. Layers are not compressed: that is the quickest to
 * make and to import.
 *
 * @param archive file to write, replaced whole. Its folder is made if need be.
 * @returns digests of the images.
 * @throws {Error} with what tar said.
 */
export async function makeArchives(
  archive: string,
  images: (ImageOptions & { layers: string[] })[],
): Promise<string[]> {
  const parent = archive.replace(/[^/]*$/, "") || ".";
  await Deno.mkdir(parent, { recursive: true });
  const layout = await Deno.makeTempDir({ dir: parent, prefix: "unfinished-image-" });
  try {
    await Deno.mkdir(`${layout}/blobs/sha256`, { recursive: true });
    const packed = new Map<string, Descriptor>();
    for (const root of new Set(images.flatMap(({ layers }) => layers))) {
      await tar(["-C", root, "-cf", `${layout}/blob`, "."]);
      packed.set(root, await storeBlob(layout, `${TYPE}.layer.v1.tar`));
    }
    const manifests = [];
    for (const { layers, ...image } of images) {
      manifests.push(await storeImage(layout, image, layers.map((root) => packed.get(root)!)));
    }
    await Deno.writeTextFile(`${layout}/oci-layout`, JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    await Deno.writeTextFile(`${layout}/index.json`, JSON.stringify({ schemaVersion: 2, manifests }));
    await tar(["-C", layout, "-cf", `${layout}/archive`, "oci-layout", "index.json", "blobs"]);
    await Deno.rename(`${layout}/archive`, archive);
    return manifests.map(({ digest }) => digest);
  } finally {
    await Deno.remove(layout, { recursive: true });
  }
}

/** Stores configuration and manifest of an image; returns its entry for the index. */
async function storeImage(layout: string, options: ImageOptions, layers: Descriptor[]): Promise<Descriptor> {
  const config = await storeJson(layout, `${TYPE}.config.v1+json`, {
    ...PLATFORM,
    config: configOf(options),
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) }, // of layers before compression; they have none
    history: layers.map(() => ({ created_by: "data-spacer tests" })),
  });
  const type = `${TYPE}.manifest.v1+json`;
  const manifest = await storeJson(layout, type, { schemaVersion: 2, mediaType: type, config, layers });
  const annotations = {
    "io.containerd.image.name": options.ref,
    "org.opencontainers.image.ref.name": options.ref.slice(options.ref.lastIndexOf(":") + 1),
  };
  return { ...manifest, ...{ annotations, platform: PLATFORM } };
}

function configOf({ entrypoint, cmd, user, env = {}, workingDir = "/" }: ImageOptions): Record<string, unknown> {
  return {
    ...(user === undefined ? {} : { User: user }),
    Env: Object.entries({ PATH, ...env }).map(([name, value]) => `${name}=${value}`),
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
    ...(cmd === undefined ? {} : { Cmd: cmd }),
    WorkingDir: workingDir,
  };
}

async function storeJson(layout: string, mediaType: string, value: unknown): Promise<Descriptor> {
  await Deno.writeTextFile(`${layout}/blob`, JSON.stringify(value));
  return await storeBlob(layout, mediaType);
}

/** Moves the file `blob` to where its digest belongs. */
async function storeBlob(layout: string, mediaType: string): Promise<Descriptor> {
  using file = await Deno.open(`${layout}/blob`);
  const hash = createHash("sha256");
  const chunk = new Uint8Array(1 << 20);
  let size = 0;
  for (let read = await file.read(chunk); read !== null; read = await file.read(chunk)) {
    hash.update(chunk.subarray(0, read));
    size += read;
  }
  const digest = hash.digest("hex");
  await Deno.rename(`${layout}/blob`, `${layout}/blobs/sha256/${digest}`);
  return { mediaType, digest: `sha256:${digest}`, size };
}

async function tar(args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("tar", { args: [...REPRODUCIBLE, ...args] }).output();
  if (!success) throw new Error(`Cannot make an image: tar said ${new TextDecoder().decode(stderr).trim()}`);
}
