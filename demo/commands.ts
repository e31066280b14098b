import type { Output } from "../tests/cluster/cluster.ts";
import { linesOf } from "../tests/support/lines.ts";

/** Options of {@linkcode runCommand}. */
export interface CommandOptions {
  /** Variables besides our own. */
  env?: Record<string, string>;
  /** Text for its stdin. */
  stdin?: string;
  /** Gets each line of its output as it comes. */
  onLine?: (line: string) => void;
  /** Ends it early. */
  signal?: AbortSignal;
}

/** Runs a command to its end. */
export type Run = (command: readonly string[], options?: CommandOptions) => Promise<Output>;

/** Code of a command that could not be started, as of a shell. */
export const NOT_FOUND = 127;

/** Runs a command to its end; one that is not there ends with {@linkcode NOT_FOUND}. */
export const runCommand: Run = async ([program, ...args], options = {}) => {
  const { env = {}, stdin, onLine, signal } = options;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program!, {
      args,
      env,
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      ...(signal ? { signal } : {}),
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { code: NOT_FOUND, stdout: "", stderr: `${program}: not found` };
  }
  if (stdin !== undefined) {
    await new Blob([stdin]).stream().pipeTo(child.stdin).catch(() => {}); // it may end without reading all
  }
  const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    let text = "";
    for await (const line of linesOf(stream)) {
      text += `${line}\n`;
      onLine?.(line);
    }
    return text;
  };
  const [stdout, stderr, { code }] = await Promise.all([read(child.stdout), read(child.stderr), child.status]);
  return { code, stdout, stderr };
};
