import { linesOf } from "../support/lines.ts";
import { must } from "./tools.ts";

const AGENT = decodeURIComponent(new URL("agent/main.py", import.meta.url).pathname);

/** No attempt of the tests takes as long, ms. */
const ANSWER_MS = 120_000;

/** Who a process is, as a container's securityContext says it. Absent: root with every capability. */
export interface Identity {
  /** User id. */
  uid: number;
  /** Group id; the uid's number by default. */
  gid?: number;
  /** Supplementary groups. */
  groups?: number[];
  /** Capabilities, without `CAP_`. */
  caps?: string[];
  /** Whether set-user-id programs have no effect; true by default. */
  no_new_privs?: boolean;
}

/** A server or sniffer in a namespace. */
export interface Service<T> extends AsyncDisposable {
  /** What it saw, all of it or from an index on. */
  log(from?: number): Promise<T[]>;
}

/**
 * A network namespace with an agent in it (agent/main.py), which opens and accepts connections for the tests. The namespace has no name: it is gone
 * when its last process is, and the agent ends with the process that started it.
 */
export class Namespace implements AsyncDisposable {
  /** Process id of the agent: `nsenter -t PID` enters. */
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 1;
  readonly #reading: Promise<void>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.pid = child.pid;
    this.#writer = child.stdin.getWriter();
    this.#waiting.set(0, Promise.withResolvers());
    this.#reading = this.#read();
  }

  /** A new namespace, its loopback up. */
  static async create(): Promise<Namespace> {
    const namespace = await Namespace.within(["unshare", "--net", "--mount"]);
    await namespace.ip("link set lo up");
    // Addresses of the kernel's own choice are ready at once too.
    for (const which of ["all", "default"]) await namespace.sysctl(`net/ipv6/conf/${which}/accept_dad`, "0");
    // Ping sockets for everybody, so that row 4 tests our rules and not the kernel's default.
    await namespace.sysctl("net/ipv4/ping_group_range", "0 2147483647");
    return namespace;
  }

  /** An agent where a command goes that these words come before; it changes nothing there. */
  static async within([command, ...words]: readonly string[]): Promise<Namespace> {
    const child = new Deno.Command(command!, {
      args: [...words, "/usr/bin/python3", "-B", AGENT],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const namespace = new Namespace(child);
    await namespace.#waiting.get(0)!.promise;
    return namespace;
  }

  async #read(): Promise<void> {
    for await (const line of linesOf(this.#child.stdout)) {
      const { id, result, error } = JSON.parse(line);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(`Cannot act in the namespace: ${error}`));
    }
  }

  #order(command: Record<string, unknown>): [number, Promise<unknown>] {
    const id = this.#next++;
    const waiting = Promise.withResolvers<unknown>();
    const late = () => waiting.reject(new Error(`Cannot act in the namespace: no answer within ${ANSWER_MS} ms`));
    const timer = setTimeout(late, ANSWER_MS);
    waiting.promise.catch(() => {}).finally(() => clearTimeout(timer));
    this.#waiting.set(id, waiting);
    this.#writer.write(new TextEncoder().encode(JSON.stringify({ id, ...command }) + "\n"));
    return [id, waiting.promise];
  }

  /** Runs a function of agent/ in a process of its own. */
  // deno-lint-ignore no-explicit-any
  async call(fn: string, args: Record<string, unknown>, as?: Identity): Promise<any> {
    return await this.#order({ fn, args, as })[1];
  }

  /** Starts a server or sniffer of agent/; returns once it is ready. */
  async serve<T = Record<string, unknown>>(
    fn: string,
    args: Record<string, unknown>,
    as?: Identity,
  ): Promise<Service<T>> {
    const [id, ready] = this.#order({ serve: fn, args, as });
    await ready;
    return {
      log: async (from = 0) => await this.#order({ log: id, from })[1] as T[],
      [Symbol.asyncDispose]: async () => {
        await this.#order({ stop: id })[1];
      },
    };
  }

  /** The command line that runs `command` in this namespace. */
  enter(command: string[]): string[] {
    return ["nsenter", `--net=/proc/${this.pid}/ns/net`, ...command];
  }

  /** Runs `ip` with these words. */
  async ip(words: string): Promise<string> {
    return await must(this.enter(["ip", ...words.split(" ")]));
  }

  /** Sets a sysctl of the network, path below /proc/sys. */
  async sysctl(path: string, value: string): Promise<void> {
    await must(this.enter(["sh", "-c", `echo "${value}" > /proc/sys/${path}`]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#child.status;
    await this.#reading;
  }
}
