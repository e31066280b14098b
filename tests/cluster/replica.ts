import type { Cluster } from "./cluster.ts";
import { type ExitCode, until } from "./processes.ts";

/** One line of the log. */
export interface LogLine {
  /** Constant for each kind of line. */
  message?: string;
  /** For example `info`. */
  level?: string;
  /** The fields, and `text` where the line is not JSON. */
  [field: string]: unknown;
}

const READY_MS = 30_000;

/** One process under test. */
export class Replica {
  /** Its pod name, also that of its log. */
  readonly name: string;
  /** Where its webhook listens. */
  readonly webhook: URL;
  /** Where /healthz, /readyz and /metrics are. */
  readonly ops: URL;
  /** From the start of the process to its first positive /readyz, ms. */
  readyMs = NaN;
  readonly #cluster: Cluster;
  readonly #slice: string;

  /** Use {@linkcode DataSpacer.startReplica}. */
  constructor(
    cluster: Cluster,
    given: { name: string; namespace: string; address: string; ports: { webhook: number; ops: number } },
  ) {
    const { name, namespace, address, ports } = given;
    this.name = name;
    this.webhook = new URL(`https://${address}:${ports.webhook}`);
    this.ops = new URL(`http://${address}:${ports.ops}`);
    this.#cluster = cluster;
    this.#slice = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  }

  /** Starts the process and waits until it is ready. */
  async start(options: { command: string[]; env: Record<string, string> }): Promise<void> {
    const start = performance.now();
    await this.#cluster.processes.start(this.name, options);
    await until(async () => {
      if (await this.ready()) return true;
      const code = await this.exitCode();
      if (code === undefined) return undefined;
      throw new Error(
        `Cannot start Data Spacer: it ended with ${code}:\n${await this.#cluster.processes.logTail(this.name)}`,
      );
    }, { ms: READY_MS, what: `ready ${this.name}` }).catch(async (cause) => {
      throw new Error(`${cause.message}\n${await this.#cluster.processes.logTail(this.name)}`, { cause });
    });
    this.readyMs = performance.now() - start;
  }

  /** Lets the API server call it, as a ready pod of the Service. */
  async join(service: { name: string; port: string }): Promise<void> {
    const port = Number(this.webhook.port);
    await this.#cluster.call(this.#slice, {
      body: {
        metadata: {
          name: this.name,
          labels: {
            "kubernetes.io/service-name": service.name,
            "endpointslice.kubernetes.io/managed-by": "tests.data-spacer", // so the cluster's own controller leaves it alone
          },
        },
        addressType: "IPv4",
        endpoints: [{ addresses: [this.webhook.hostname], conditions: { ready: true } }],
        ports: [{ name: service.port, port, protocol: "TCP" }],
      },
    });
  }

  /** Takes it out of the Service, as a terminating pod. */
  async leave(): Promise<void> {
    await this.#cluster.request(`${this.#slice}/${this.name}`, { method: "DELETE" }).catch(() => {}); // the API server may be down
  }

  /** Whether /readyz says yes. */
  async ready(): Promise<boolean> {
    try {
      const response = await fetch(new URL("/readyz", this.ops), { signal: AbortSignal.timeout(2_000) });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }

  /** Ends it as a kubelet does: out of the Service, then SIGTERM. Returns its exit code. */
  async stop(): Promise<ExitCode> {
    await this.leave();
    return await this.#cluster.processes.stop(this.name, "SIGTERM");
  }

  /** Ends it as a crash does (kill -9); the Service forgets it afterwards. */
  async kill(): Promise<void> {
    await this.#cluster.processes.stop(this.name, "SIGKILL");
    await this.leave();
  }

  /** Its exit code, or 128 + the signal's number; absent while it runs. */
  exitCode(): Promise<ExitCode | undefined> {
    return this.#cluster.processes.exitCode(this.name);
  }

  /** Process id, absent when it has ended. */
  pid(): Promise<number | undefined> {
    return this.#cluster.processes.pid(this.name);
  }

  /** What it has logged. */
  async logs(): Promise<LogLine[]> {
    const text = await Deno.readTextFile(this.#cluster.processes.logFile(this.name));
    return text.split("\n").filter((line) => line !== "").map((line) => {
      try {
        return JSON.parse(line) as LogLine;
      } catch {
        return { text: line };
      }
    });
  }

  /** The text of /metrics. */
  async metrics(): Promise<string> {
    const response = await fetch(new URL("/metrics", this.ops));
    return await response.text();
  }

  /** Sum of the series of a metric that have all of the given labels; 0 where there is none. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    return (await this.metrics()).split("\n")
      .map((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
      .filter((match) => match?.[1] === name && wanted.every((label) => match[2]?.includes(label)))
      .reduce((sum, match) => sum + Number(match![3]), 0);
  }
}
