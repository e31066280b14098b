import { type AccessRecord, readRecord } from "../tests/support/access_record.ts";
import { linesOf } from "../tests/support/lines.ts";
import { eventually, NAMESPACES } from "./cast.ts";
import type { Kubectl } from "./kubectl.ts";

/** Longest wait for a record, ms: Envoy writes its log up to a second late. */
const RECORD_MS = 10_000;

/** The access log of pharma's pod, followed as `kubectl logs --follow` shows it. */
export class AccessLog implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #records: AccessRecord[] = [];
  readonly #done: Promise<void>;

  /** `pod`: name of a pod in {@linkcode NAMESPACES.pharma}. */
  constructor(kubectl: Kubectl, pod: string) {
    this.#child = kubectl.stream([
      "--namespace",
      NAMESPACES.pharma,
      "logs",
      "--follow",
      pod,
      "--container",
      "data-space-proxy",
    ]);
    this.#done = this.#read();
  }

  /** How many there are so far: where to look from, for what comes. */
  get position(): number {
    return this.#records.length;
  }

  /** Waits for a record behind `from`. */
  async find(matches: (record: AccessRecord) => boolean, from = 0): Promise<AccessRecord> {
    return await eventually("a record in the access log", () => {
      return Promise.resolve(this.#records.slice(from).find(matches));
    }, RECORD_MS);
  }

  /** Ends following. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch { /* the pod has ended, and so has it */ }
    await Promise.all([this.#done, this.#child.status]);
  }

  async #read(): Promise<void> {
    for await (const line of linesOf(this.#child.stdout)) {
      const record = readRecord(line);
      if (record) this.#records.push(record);
    }
  }
}

/** A record in a line. */
export function told(record: AccessRecord): string {
  const { direction, chain = "tcp", method, host, path, sni, destination, status, flags, consumer, pod } = record;
  const what = method === undefined ? `${chain} ${sni ?? ""}` : `${method} ${host}${path}`;
  const fate = [status || undefined, flags === "-" ? undefined : flags].filter((word) => word !== undefined);
  return `consumer=${consumer} pod=${pod} ${direction} ${what.trim()}: ${fate.join(" ") || "done"} (${destination})`;
}
