import type { Namespace, Service } from "../../../net/namespace.ts";
import { forbidden, type Frame, sentFrom } from "../../../net/pods.ts";
import type { AccessRecord } from "../../../support/access_record.ts";
import { accessLog } from "../installation.ts";
import type { Node } from "../node.ts";
import type { NetworkRow } from "./network_rows.ts";
import { isServer, type Place, type Places } from "./places.ts";
import { fillIn, type Verdict } from "./rows.ts";

/** What was seen of one attempt, but for the proxy's records, which come later. */
export interface Attempt {
  row: NetworkRow;
  /** The pod whose records and frames count: that of the consumer. */
  pod: Place;
  /** Command as it was run. */
  command: string;
  /** What it printed. */
  output: string;
  /** Source port of its connection or socket, as the attacker's own kernel says. */
  port: number | undefined;
  /** Whether its destination answered, and the source port that it saw, where it is one that tells. */
  answer: { answered: boolean; peer: number | undefined };
  /** What the attacked or attacking pod put on its device meanwhile; of connections: all frames, those of others too. */
  frames: Frame[];
}

/** Time for the last frames to arrive at the sniffer, ms. */
const SETTLE_MS = 60;
/** Time for the proxy's records to be written and to be found in the log, ms: it flushes once a second. */
const RECORD_MS = 2_500;

/** Makes attempts and judges them by what can be seen from outside of the pod. */
export class Judge {
  readonly #node: Node;
  readonly #places: Places;
  readonly #sniffers: Map<Place, Service<Frame>>;

  private constructor(node: Node, places: Places, sniffers: Map<Place, Service<Frame>>) {
    this.#node = node;
    this.#places = places;
    this.#sniffers = sniffers;
  }

  /** Listens at the devices of the consumer's pods; `agent` runs on the node. */
  static async watch(node: Node, places: Places, agent: Namespace): Promise<Judge> {
    const watched = ["restricted", "root", "observed", "proxy-uid", "neighbour", "control"] as const;
    const sniffers = await Promise.all(watched.map(async (place): Promise<[Place, Service<Frame>]> => {
      return [place, await agent.serve<Frame>("sniff", { device: await places.device(place) })];
    }));
    return new Judge(node, places, new Map(sniffers));
  }

  /** Makes attempts from the consumer's pods, or, as a control, from and at one that Data Spacer leaves alone. */
  async attempt(rows: readonly NetworkRow[], where: "guarded" | "control"): Promise<Attempt[]> {
    const attempts: Attempt[] = [];
    const connections = rows.filter(({ kind }) => kind === "connection");
    await Promise.all([0, 1, 2].map(async (lane) => {
      for (const row of connections.filter((_, i) => i % 3 === lane)) attempts.push(await this.#try(row, where));
    }));
    // these one by one, for their frames say nothing of whose they are
    for (const row of rows.filter(({ kind }) => kind === "packets")) attempts.push(await this.#try(row, where));
    return attempts;
  }

  async #try(row: NetworkRow, where: "guarded" | "control"): Promise<Attempt> {
    const { from = "restricted", how, answer = /peer (\d+)/ } = row;
    const inbound = isServer(from);
    const [place, pod]: [Place, Place] = where === "guarded"
      ? [from, inbound ? "restricted" : from]
      : [inbound ? from : "control", "control"];
    const command = told(fillIn(how, this.#places.values(place, pod)));
    const start = (await this.frames(pod)).length;
    const { stdout, stderr } = await this.#places.run(place, command);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const output = `${stdout}${stderr}`;
    const peer = answer.exec(output);
    return {
      row,
      pod,
      command,
      output,
      port: number(/local address (?:AF=\d+ )?\S*:(\d+)|from port (\d+)/.exec(output)),
      answer: { answered: peer !== null, peer: number(peer) },
      frames: await this.frames(pod, start),
    };
  }

  /** What a pod has put on its device so far, and what was put there for it. */
  async frames(place: Place, from = 0): Promise<Frame[]> {
    return await this.#sniffers.get(place)!.log(from);
  }

  /** Waits for the records of all attempts, and says what each came to. @throws {Error} where what was seen fits no verdict. */
  async verdicts(attempts: readonly Attempt[]): Promise<Map<NetworkRow, Verdict | Error>> {
    await new Promise((resolve) => setTimeout(resolve, RECORD_MS));
    const logs = new Map<Place, AccessRecord[]>();
    for (const pod of new Set(attempts.map(({ pod }) => pod))) {
      const log = pod === "control" ? [] : await accessLog(this.#node, this.#places.namespace(pod), pod);
      logs.set(pod, log);
    }
    return new Map(attempts.map((attempt) => {
      const records = logs.get(attempt.pod)!.filter((record) => belongs(record, attempt));
      return [attempt.row, verdict(attempt, records, this.#places.values("restricted").dns!)];
    }));
  }
}

/** The same command, that says which source port it has, and ends soon, but not before a server on a busy machine has answered. */
export function told(command: string): string {
  return command.replace(/(?<!\/)\bsocat (?!-d)/, "socat -d -d -T 2 -t 1.5 ").replace(
    /^curl /,
    "curl -w ' from port %{local_port}' ",
  );
}

function number(match: RegExpExecArray | null): number | undefined {
  const text = match?.slice(1).find((group) => group !== undefined);
  return text === undefined || !/^[1-9]\d*$/.test(text) ? undefined : Number(text);
}

/** Whether a record is the last one of that attempt's connection. */
function belongs({ type, source = "", destination = "" }: AccessRecord, { port, command }: Attempt): boolean {
  const address = destination.replace(/:\d+$/, "").replace(/[[\]]/g, "");
  return /End$/.test(type) && port !== undefined && source.endsWith(`:${port}`) && command.includes(address);
}

function verdict(attempt: Attempt, records: AccessRecord[], resolver: string): Verdict | Error {
  const { row: { kind }, port, answer: { answered, peer }, command, frames, output, pod } = attempt;
  if (forbidden(frames, [resolver]).length > 0) return "gets through";
  if (kind === "packets") return answered ? "gets through" : "dropped";
  const own = port === undefined ? [] : sentFrom(frames, port).filter(({ dst }) => command.includes(dst!));
  const past = answered && (pod === "control" || own.length > 0 || peer !== undefined && peer === port);
  if (past && records.length === 0) return "gets through";
  if (own.length === 0 && answered && records.length === 1 && peer !== port) return "recorded";
  if (!answered && own.every(({ flags }) => pod === "observed" && flags === "S")) {
    if (records.length === 1) return "recorded, stopped";
    if (records.length === 0) return "dropped";
  }
  return new Error(`Cannot judge: ${JSON.stringify({ command, output, records, own: own.slice(0, 5) })}`);
}
