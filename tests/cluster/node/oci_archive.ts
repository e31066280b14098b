import { createHash } from "node:crypto";

/** An image that is to be made of a folder. */
export interface ImageOptions {
  /** Its whole name, for example `localhost/pause:1`. Nothing is ever pulled under it. */
  ref: string;
  /** File to write, replaced whole. Its folder is made if need be. */
  archive: string;
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
 * Packs the folder `root` as an image with one layer, into an OCI image layout in a tar. All files belong to root and keep
 * their modes. The layer is not compressed: that is the quickest to make and to import.
 *
 * @returns digest of the image, `sha256:…`: the same for the same files and options.
 * @throws {Error} with what tar said.
 */
export async function makeArchive(root: string, options: ImageOptions): Promise<string> {
  const { ref, archive } = options;
  const parent = archive.replace(/[^/]*$/, "") || ".";
  await Deno.mkdir(parent, { recursive: true });
  const layout = await Deno.makeTempDir({ dir: parent, prefix: "unfinished-image-" });
  try {
    await Deno.mkdir(`${layout}/blobs/sha256`, { recursive: true });
    await tar(["-C", root, "-cf", `${layout}/blob`, "."]);
    const layer = await storeBlob(layout, `${TYPE}.layer.v1.tar`);
    const config = await storeJson(layout, `${TYPE}.config.v1+json`, {
      ...PLATFORM,
      config: configOf(options),
      rootfs: { type: "layers", diff_ids: [layer.digest] }, // digest of the layer before compression, and it has none
      history: [{ created_by: "data-spacer tests" }],
    });
    const type = `${TYPE}.manifest.v1+json`;
    const manifest = await storeJson(layout, type, { schemaVersion: 2, mediaType: type, config, layers: [layer] });
    const annotations = {
      "io.containerd.image.name": ref,
      "org.opencontainers.image.ref.name": ref.slice(ref.lastIndexOf(":") + 1),
    };
    await Deno.writeTextFile(`${layout}/oci-layout`, JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations, platform: PLATFORM }] };
    await Deno.writeTextFile(`${layout}/index.json`, JSON.stringify(index));
    await tar(["-C", layout, "-cf", `${layout}/archive`, "oci-layout", "index.json", "blobs"]);
    await Deno.rename(`${layout}/archive`, archive);
    return manifest.digest;
  } finally {
    await Deno.remove(layout, { recursive: true });
  }
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
