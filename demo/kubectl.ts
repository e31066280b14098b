import type { Identity, Output } from "../tests/cluster/cluster.ts";
import { runCommand } from "./commands.ts";

/** Options of one call. */
export interface Call {
  /** Whom to act as, by impersonation; absent: the provider's administrator. */
  who?: Identity;
  /** Text for its stdin. */
  stdin?: string;
}

/** kubectl, with the cluster of the story. */
export class Kubectl {
  /** Program and flags that choose the cluster. */
  readonly command: readonly string[];
  readonly #env: Record<string, string>;

  constructor(command: readonly string[], env: Record<string, string> = {}) {
    this.command = command;
    this.#env = { KUBECTL_KUBERC: "false", ...env };
  }

  /** Whatever comes of it. */
  async output(args: readonly string[], { who = {}, stdin }: Call = {}): Promise<Output> {
    const as = who.as === undefined ? [] : ["--as", who.as];
    const groups = (who.asGroups ?? []).flatMap((group) => ["--as-group", group]);
    const options = { env: this.#env, ...(stdin === undefined ? {} : { stdin }) };
    return await runCommand([...this.command, ...as, ...groups, ...args], options);
  }

  /** Standard output. @throws {Error} with what it said, if it failed. */
  async run(args: readonly string[], call: Call = {}): Promise<string> {
    const { code, stdout, stderr } = await this.output(args, call);
    if (code !== 0) throw new Error(said(stderr || stdout));
    return stdout.trim();
  }

  /** One object, or a list; undefined where it is not there. @throws {Error} if it cannot be asked for. */
  async get<T>(...args: string[]): Promise<T | undefined> {
    const text = await this.run(["get", "--ignore-not-found", "-o", "json", ...args]);
    return text === "" ? undefined : JSON.parse(text) as T;
  }

  /** Applies manifests, given as objects. */
  async apply(objects: readonly object[], call: Omit<Call, "stdin"> = {}): Promise<string> {
    const stdin = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    return await this.run(["apply", "-f", "-"], { ...call, stdin });
  }

  /** Creates one object; what the API server said where it refused. */
  async create(object: object, call: Omit<Call, "stdin"> & { dryRun?: boolean } = {}): Promise<Creation> {
    const args = ["create", "-o", "json", "-f", "-", ...(call.dryRun ? ["--dry-run=server"] : [])];
    const { code, stdout, stderr } = await this.output(args, { ...call, stdin: JSON.stringify(object) });
    return code === 0 ? { created: JSON.parse(stdout) } : { refusal: said(stderr) };
  }

  /** Starts a call that lasts; the caller ends it. */
  stream(args: readonly string[]): Deno.ChildProcess {
    const [program, ...flags] = this.command;
    return new Deno.Command(program!, {
      args: [...flags, ...args],
      env: this.#env,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    })
      .spawn();
  }
}

/** What came of a creation. */
export type Creation = { created: unknown; refusal?: undefined } | { refusal: string };

/** The API server's own words: without what kubectl says before them, and on one line. */
export function said(stderr: string): string {
  const lines = stderr.trim().split("\n").filter((line) => !line.startsWith("Warning:"));
  return lines.join(" ")
    .replace(/^Error from server( \(\w+\))?: /, "")
    .replace(/^error when creating "STDIN": /, "")
    .replace(/^error: /, "");
}
