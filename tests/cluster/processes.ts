import { exists } from "./cache.ts";

/** How a process ended: its exit code, or 128 + the signal's number. */
export type ExitCode = number;

/** What to start; see {@linkcode Processes.start}. */
export interface ProcessOptions {
  /** Program and arguments. */
  command: string[];
  /** Variables besides those of the tests. */
  env?: Record<string, string>;
  /** File for stdout and stderr; appended to. By default `logs/NAME.log`. */
  log?: string;
}

/**
 * The processes of one test cluster and the folder they live in, all gone after dispose, and also after the tests' own process
 * has died (guard.sh). Output goes to files and waiting is by polling, so that a process may be started in one test and
 * killed in another without the leak sanitizers taking it for a leak.
 */
export class Processes implements AsyncDisposable {
  /** Folder of the cluster; `logs/` and `run/` are in it. */
  readonly folder: string;
  readonly #guard: Deno.ChildProcess;
  readonly #commands: WritableStreamDefaultWriter<Uint8Array>;
  /** Names, and whether the process that does the work is a child of the one started. */
  readonly #started = new Map<string, boolean>();
  #disposed: Promise<void> | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    const guard = decodeURIComponent(new URL("guard.sh", import.meta.url).pathname);
    this.#guard = new Deno.Command("sh", {
      args: [guard, folder],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      detached: true, // a session of its own: Ctrl-C reaches the tests, and the guard by the end of its stdin
    }).spawn();
    this.#commands = this.#guard.stdin.getWriter();
  }

  /** A guard with an empty temporary folder. */
  static async create(prefix: string): Promise<Processes> {
    return await Processes.in(await Deno.makeTempDir({ prefix }));
  }

  /** A guard with this folder, which is empty. */
  static async in(folder: string): Promise<Processes> {
    for (const name of ["logs", "run"]) await Deno.mkdir(`${folder}/${name}`);
    return new Processes(folder);
  }

  /** Process id of the guard. While it lives, the folder and all that belongs to it are in use. */
  get guard(): number {
    return this.#guard.pid;
  }

  /** Has a shell run `line` when all is to end, before any process is killed. Where it fails, the folder stays, with `logs/ending.log`. */
  async beforeEnd(line: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/ending`, `${line}\n`, { append: true });
  }

  /** Has a shell run `line` at the end, when all processes have ended. */
  async atEnd(line: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/cleanup`, `${line}\n`, { append: true });
  }

  /** Starts `name` and returns its process id. A name whose process has ended can be started again. */
  async start(name: string, options: ProcessOptions): Promise<number> {
    const { command, env = {}, log = this.logFile(name) } = options;
    this.#started.set(name, FORKING.includes(command[0]!));
    const file = `${this.folder}/run/${name}`;
    for (const old of [`${file}.pid`, `${file}.exit`]) await Deno.remove(old).catch(() => {});
    const variables = Object.entries(env).map(([key, value]) => `export ${key}=${quote(value)}\n`).join("");
    await Deno.writeTextFile(file, `${variables}exec ${command.map(quote).join(" ")} >> ${quote(log)} 2>&1\n`);
    await this.#commands.write(new TextEncoder().encode(`${name}\n`));
    return await until(() => readNumber(`${file}.pid`), { ms: 10_000, what: `start of ${name}` });
  }

  /** Process id of `name`, absent when it does not run. */
  async pid(name: string): Promise<number | undefined> {
    return await this.exitCode(name) === undefined ? await readNumber(`${this.folder}/run/${name}.pid`) : undefined;
  }

  /** How `name` ended; absent while it runs. */
  exitCode(name: string): Promise<ExitCode | undefined> {
    return readNumber(`${this.folder}/run/${name}.exit`);
  }

  /** Sends a signal and waits until the process has ended, at most `ms`; nothing to do if it never ran. @throws {Error} when it does not end. */
  async stop(name: string, signal: Deno.Signal, ms = 20_000): Promise<ExitCode> {
    if (!this.#started.has(name)) return 0;
    const pid = await this.pid(name);
    if (pid !== undefined) Deno.kill(this.#started.get(name) ? await onlyChild(pid) : pid, signal);
    return await until(() => this.exitCode(name), { ms, what: `end of ${name} after ${signal}` });
  }

  /** Where the output of `name` goes. */
  logFile(name: string): string {
    return `${this.folder}/logs/${name}.log`;
  }

  /** The last lines that `name` wrote. */
  async logTail(name: string, lines = 15): Promise<string> {
    const text = await Deno.readTextFile(this.logFile(name)).catch(() => "");
    return text.trimEnd().split("\n").slice(-lines).join("\n");
  }

  /** Kills every process, undoes what was asked for by `atEnd`, removes the folder. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#commands.close().catch(() => {}).then(async () => {
      await this.#guard.status;
      if (await exists(this.folder)) {
        throw new Error(
          `Cannot remove ${this.folder}: its guard was killed, or ${this.folder}/logs/ending.log says why`,
        );
      }
    });
    return this.#disposed;
  }
}

/** They enter namespaces, then wait for a child that runs the command. */
const FORKING = ["nsenter", "unshare"];

/** The process that `parent` has started, as soon as it has. */
export async function onlyChild(parent: number): Promise<number> {
  return await until(async () => {
    const { stdout } = await new Deno.Command("pgrep", { args: ["-P", `${parent}`] }).output();
    return Number(new TextDecoder().decode(stdout)) || undefined;
  }, { ms: 10_000, what: `child of process ${parent}` });
}

/** Options of {@linkcode until}. */
export interface UntilOptions {
  /** Longest wait. */
  ms: number;
  /** What is waited for, for the error. */
  what: string;
  /** Time between two looks, ms. */
  every?: number;
}

/**
 * The first value of `look` that is not undefined.
 *
 * @throws {Error} when there is none in time.
 */
export async function until<T>(look: () => Promise<T | undefined>, options: UntilOptions): Promise<T> {
  const { ms, what, every = 10 } = options;
  for (const start = performance.now();;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() - start > ms) throw new Error(`Cannot go on: no ${what} within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

async function readNumber(file: string): Promise<number | undefined> {
  try {
    return Number(await Deno.readTextFile(file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
