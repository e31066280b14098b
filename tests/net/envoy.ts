import { envoyFiles, paths } from "../../lib/core/names.ts";
import { proxyArgs } from "../../lib/core/envoy_config.ts";
import type { AccessRecord } from "../support/access_record.ts";
import { linesOf } from "../support/lines.ts";
import type { Namespace } from "./namespace.ts";

/** What a proxy is started with. */
export interface EnvoyOptions {
  /** Path of the program. */
  program: string;
  /** Where it runs. */
  namespace: Namespace;
  /** Folder on this machine that is mounted at `paths.config`. */
  config: string;
  /** uid and gid. */
  uid: number;
  /** Changes its arguments. */
  args?: ((args: string[]) => string[]) | undefined;
  /** Environment of the container. */
  env: Record<string, string>;
  /** File for its standard output, the access log, which is not read then. */
  log?: string | undefined;
}

/**
 * The real Envoy as the proxy container runs it: no capability, no_new_privs, its configuration read-only and its run folder in memory, both at
 * the places that the configuration names. /etc is hidden from it as in a distroless image.
 */
export class Envoy implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  readonly #records: AccessRecord[] = [];
  readonly #noise: string[] = [];
  #ended = false;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>, line: (line: string) => void) => {
      for await (const l of linesOf(stream)) line(l);
    };
    this.#reading = Promise.all([
      read(child.stdout, (line) => this.#records.push(JSON.parse(line))),
      read(child.stderr, (line) => this.#noise.push(line)),
      child.status.then(() => this.#ended = true),
    ]);
  }

  /** Starts it; it may not listen yet. */
  static start({ program, namespace, config, uid, env, args: change, log }: EnvoyOptions): Envoy {
    let args = [...proxyArgs];
    args[args.indexOf("--file-flush-interval-msec") + 1] = "20";
    args = change?.(args) ?? args;
    const script = [
      "set -e",
      ...(log === undefined ? [] : ['exec > "$LOG"']),
      "mount -t tmpfs tmpfs /run",
      `mkdir -p ${paths.run} && chown ${uid}:${uid} ${paths.run} && chmod 700 ${paths.run}`,
      `mount -t tmpfs tmpfs /etc && mkdir -p ${paths.config} && mount --bind "$CONFIG" ${paths.config}`,
      'exec setpriv --reuid "$0" --regid "$0" --clear-groups --bounding-set -all --inh-caps -all --no-new-privs -- "$@"',
    ].join("\n");
    const command = [
      "unshare",
      "--mount",
      "sh",
      "-c",
      script,
      String(uid),
      program,
      "-c",
      `${paths.config}/${envoyFiles.bootstrap}`,
      ...args,
    ];
    const [first, ...rest] = namespace.enter(command);
    const child = new Deno.Command(first!, {
      args: rest,
      env: { ...env, CONFIG: config, ...(log === undefined ? {} : { LOG: log }) },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Envoy(child);
  }

  /** Process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Whether it has ended, by itself or not. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Records so far. */
  get records(): readonly AccessRecord[] {
    return this.#records;
  }

  /** What it wrote to its own log. */
  get noise(): readonly string[] {
    return this.#noise;
  }

  /** Ends it by a signal and waits for the end. */
  async end(signal: Deno.Signal = "SIGKILL"): Promise<Deno.CommandStatus> {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended by itself.
    }
    const status = await this.#child.status;
    await this.#reading;
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
