import { run } from "../../net/tools.ts";

/** Commands that it needs, each with the Debian package that brings it. */
export const BUILDAH_COMMANDS: Record<string, string> = {
  buildah: "buildah",
  mmdebstrap: "mmdebstrap",
};

/**
 * Runs buildah where $0 is its folder. All that it mounts, and a cache that it insists on in /var/lib, goes with the mount namespace.
 * The storage driver copies: that works everywhere, in a container too.
 */
const SCRIPT = `
mount -t tmpfs none /var/lib
mkdir -p "$0/tmp"
printf '[network]\\nnetwork_config_dir = "%s"\\n' "$0/network" > "$0/containers.conf"
export CONTAINERS_CONF="$0/containers.conf" TMPDIR="$0/tmp" BUILDAH_ISOLATION=chroot
exec buildah --root "$0/root" --runroot "$0/run" --storage-driver vfs "$@"
`;

/** What a container of an image runs, and as whom, as OCI says it. */
export interface ImageConfig {
  User?: string;
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  WorkingDir?: string;
  ExposedPorts?: Record<string, unknown>;
}

/** Debian's buildah, with a storage of its own that goes with it. Nothing is pulled. */
export class Buildah implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the storage, in a temporary folder. */
  static async start(): Promise<Buildah> {
    return new Buildah(await Deno.makeTempDir({ prefix: "data-spacer-buildah-" }));
  }

  /**
   * Makes an image of a folder, or of a tar, under the name that a Dockerfile's FROM has.
   *
   * @throws {Error} with what buildah said.
   */
  async base(name: string, content: string[], config: string[] = []): Promise<void> {
    const container = await this.#buildah("from", "scratch");
    for (const source of content) await this.#buildah("add", "--quiet", container, source, "/");
    if (config.length > 0) await this.#buildah("config", ...config, container);
    await this.#buildah("commit", "--quiet", "--rm", container, name);
  }

  /** Builds a Dockerfile. `onOutput` gets all that it says. @throws {Error} with the last of it. */
  async build(
    name: string,
    from: { file: string; context: string; target?: string; onOutput?: (text: string) => void },
  ): Promise<void> {
    const { file, context, target, onOutput = () => {} } = from;
    const stage = target === undefined ? [] : ["--target", target];
    onOutput(await this.#buildah("bud", "--pull-never", ...stage, "--tag", name, "--file", file, context));
  }

  /** Configuration of an image. */
  async config(name: string): Promise<ImageConfig> {
    return JSON.parse(await this.#buildah("inspect", "--type", "image", name)).OCIv1.config;
  }

  /** Calls `look` with the folder that is the root of an image. */
  async withRoot<T>(name: string, look: (root: string) => Promise<T>): Promise<T> {
    const container = await this.#buildah("from", "--pull-never", name);
    try {
      return await look(await this.#buildah("mount", container));
    } finally {
      await this.#buildah("umount", container);
      await this.#buildah("rm", container);
    }
  }

  /** Removes the storage. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#buildah("rm", "--all").catch(() => {});
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #buildah(...args: string[]): Promise<string> {
    const { success, code, out, err } = await run(["unshare", "--mount", "sh", "-euc", SCRIPT, this.#folder, ...args]);
    if (success) return (args[0] === "bud" ? out + err : out).trim();
    const said = `${out}\n${err}`.trim().slice(-3_000);
    throw new Error(`Cannot go on: "buildah ${args.join(" ")}" ended with ${code}: ${said}`);
  }
}
