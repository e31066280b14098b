import { createHash } from "node:crypto";
import { cacheFolder, exists, makeFolder, withLock } from "../cluster/cache.ts";
import { findGo } from "../cluster/toolchain.ts";
import { filesOf, readFile, ROOT } from "../support/tree.ts";

/** The load generator, built into the cache; its path. */
export async function buildTool(): Promise<string> {
  const go = await findGo();
  const sources = (await filesOf("tests/bench/go")).filter((file) => file.endsWith(".go"));
  const hash = createHash("sha256").update(go.version);
  for (const file of sources) hash.update(await readFile(file));
  const folder = `${cacheFolder()}/bench/tool-${hash.digest("hex").slice(0, 8)}`;
  await withLock("bench-tool", async () => {
    if (await exists(folder)) return;
    await makeFolder(folder, async (temporary) => {
      const args = ["build", "-o", `${temporary}/tool`, ...sources.map((file) => ROOT + file)];
      const { success, stderr } = await new Deno.Command(go.command, { args, env: go.env }).output();
      if (!success) throw new Error(`Cannot build the load generator: ${new TextDecoder().decode(stderr)}`);
    });
  });
  return `${folder}/tool`;
}

/** What `reviews` prints; times in ms. */
export interface ReviewsResult {
  count: number;
  seconds: number;
  /** Answers a second. */
  rate: number;
  p50: number;
  p99: number;
  max: number;
}

/**
 * Runs a program and parses each line of its output as JSON. The signal asks it to end early, and to print what it has.
 *
 * @throws {Error} with what it said, if it fails.
 */
export async function runJson<T>(command: readonly string[], signal?: AbortSignal): Promise<T[]> {
  const [program, ...args] = command;
  const child = new Deno.Command(program!, { args, stdout: "piped", stderr: "piped" }).spawn();
  signal?.addEventListener("abort", () => child.kill("SIGINT"), { once: true });
  const { success, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  if (!success) throw new Error(`Cannot go on: ${program} failed: ${text.decode(stderr)}`);
  return text.decode(stdout).trim().split("\n").map((line) => JSON.parse(line) as T);
}

/** Flags as the tool reads them: `{time: "5s"}` -> `-time=5s`. */
export function flagsOf(flags: Record<string, string | number | boolean>): string[] {
  return Object.entries(flags).map(([name, value]) => `-${name}=${value}`);
}
