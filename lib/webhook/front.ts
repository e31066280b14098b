import { sleep } from "../kube/time.ts";
import type { KeyPair } from "./certificate_source.ts";
import { Connection, type ConnectionLimits, type EndReason } from "./connection.ts";
import { leastUseful } from "./make_room.ts";
import { type Handler, TlsListener } from "./tls_listener.ts";

/** Limits of the front; times in ms. */
export interface FrontLimits extends ConnectionLimits {
  /** Connections at a time; for one more the least useful is ended, or else itself. */
  connections: number;
  /** How long a connection may be of no use before it has to make way, ms. */
  uselessMs: number;
  /** Listeners of former certificates that are kept for their connections; beyond it the oldest one's are cut. */
  retired: number;
  /** How long a former certificate's connections may go on, ms. */
  retiredMs: number;
  /** How often the limits are looked at, ms. */
  sweepMs: number;
}

/** The limits in use. An API server asks at most a few hundred things at a time, and each over one connection. */
export const FRONT_LIMITS: FrontLimits = {
  connections: 512,
  uselessMs: 1_000,
  handshakeMs: 5_000,
  exchangeMs: 10_000,
  idleMs: 120_000,
  lingerMs: 1_000,
  retired: 4,
  retiredMs: 600_000,
  sweepMs: 500,
};

/** What the front needs. */
export interface FrontOptions {
  /** Address to listen on. */
  hostname: string;
  /** TCP port; 0: any. */
  port: number;
  /** Answers requests. An answer with `connection: close` is the last of its connection. */
  handler: Handler;
  /** Those that differ from `FRONT_LIMITS`. */
  limits?: Partial<FrontLimits>;
  /** Steady clock, ms. */
  now?: () => number;
  /** Waits, ms. */
  sleep?: (ms: number) => Promise<void>;
  /** Told of the end of each connection. */
  ended?: (reason: EndReason) => void;
  /** Told of faults that pass, like too many open files. */
  failed?: (error: unknown) => void;
}

/** How long to wait after a fault of accept, ms: at once it would only fail again. */
const ACCEPT_PAUSE_MS = 100;

/** How often a drain looks again, ms. */
const DRAIN_STEP_MS = 20;

/** How long a connection is silent before a drain may close it, ms. */
const QUIET_MS = 250;

/**
 * The public port. Each connection is spliced to the newest of several `Deno.serve` TLS listeners on loopback: that is how
 * a certificate changes without a lost request, which `Deno.serve` cannot do. It sees connections before TLS does, so the
 * limits that `Deno.serve` lacks are here.
 */
export class Front {
  readonly #listener: Deno.TcpListener;
  readonly #options: FrontOptions;
  readonly #limits: FrontLimits;
  readonly #now: () => number;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #connections = new Map<Connection, TlsListener | undefined>();
  readonly #byInnerPort = new Map<number, Connection>();
  readonly #retired: { listener: TlsListener; since: number }[] = [];
  readonly #sweeper: ReturnType<typeof setInterval>;
  readonly #accepting: Promise<void>;
  #newest: TlsListener | undefined;
  #closing = false;

  /**
   * Listens at once; until `use` is called, connections are closed.
   *
   * @throws {Deno.errors.AddrInUse} if the port is taken, and other errors of `Deno.listen`.
   */
  constructor(options: FrontOptions) {
    this.#options = options;
    this.#limits = { ...FRONT_LIMITS, ...options.limits };
    this.#now = options.now ?? (() => performance.now());
    this.#sleep = options.sleep ?? sleep;
    this.#listener = Deno.listen({ hostname: options.hostname, port: options.port });
    this.#sweeper = setInterval(() => this.#sweep(), this.#limits.sweepMs);
    this.#accepting = this.#accept();
  }

  /** The public address. */
  get addr(): Deno.NetAddr {
    return this.#listener.addr as Deno.NetAddr;
  }

  /** Open connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /** TLS listeners: the newest, and those of former certificates that still have connections. */
  get listeners(): number {
    return this.#retired.length + (this.#newest ? 1 : 0);
  }

  /**
   * Serves new connections with this pair; the others stay as they are.
   *
   * @throws {Deno.errors.InvalidData} if it cannot be used; the one before stays.
   */
  use(pair: KeyPair): void {
    const next = new TlsListener(pair, {
      handler: this.#options.handler,
      last: (port) => this.#byInnerPort.get(port)?.endSoon(),
    });
    if (this.#newest) {
      this.#newest.retire();
      this.#retired.push({ listener: this.#newest, since: this.#now() });
    }
    this.#newest = next;
    this.#trim();
  }

  /**
   * Ends without losing a request. For `graceMs` requests and connections go on to be taken, since the news that this replica
   * has gone takes time to spread; but each answer is the last of its connection. Then no connection is taken any more,
   * silent ones are closed, requests under way get their answers, and after another `ms` all is ended.
   */
  async drain(options: { graceMs: number; ms: number }): Promise<void> {
    this.#newest?.retire();
    await this.#sleep(options.graceMs);
    this.#stop();
    const start = this.#now();
    while (this.#connections.size > 0) {
      const late = this.#now() - start >= options.ms;
      for (const connection of this.#connections.keys()) {
        if (late || this.#isQuiet(connection)) connection.end("drained");
      }
      await this.#sleep(DRAIN_STEP_MS);
    }
    await this.close();
  }

  /** Ends everything now. */
  async close(): Promise<void> {
    this.#stop();
    for (const connection of this.#connections.keys()) connection.end("drained");
    const listeners = this.#retired.splice(0).map(({ listener }) => listener);
    if (this.#newest) listeners.push(this.#newest);
    this.#newest = undefined;
    await Promise.all([this.#accepting, ...listeners.map((listener) => listener.close())]);
  }

  #stop(): void {
    if (this.#closing) return;
    this.#closing = true;
    clearInterval(this.#sweeper);
    this.#listener.close();
  }

  async #accept(): Promise<void> {
    while (!this.#closing) {
      try {
        this.#take(await this.#listener.accept());
      } catch (error) {
        if (this.#closing) return;
        this.#options.failed?.(error);
        await this.#sleep(ACCEPT_PAUSE_MS);
      }
    }
  }

  #take(client: Deno.TcpConn): void {
    const connection = new Connection(client, this.#limits, this.#now);
    if (this.#connections.size >= this.#limits.connections && !this.#makeRoom(connection)) {
      connection.end("limit");
      this.#options.ended?.("limit");
      return;
    }
    this.#connections.set(connection, undefined);
    connection.run(() => this.#connect(connection)).then((reason) => {
      this.#forget(connection);
      this.#options.ended?.(reason);
    });
  }

  /** Ends a connection for another; false if none has to make way. */
  #makeRoom({ source }: Connection): boolean {
    const least = leastUseful(this.#connections.keys(), source, { graceMs: this.#limits.uselessMs });
    least?.end("evicted");
    if (least !== undefined) this.#forget(least); // now: it would be found again
    return least !== undefined;
  }

  async #connect(connection: Connection): Promise<Deno.TcpConn | undefined> {
    const listener = this.#newest;
    if (listener === undefined) return undefined;
    this.#connections.set(connection, listener);
    listener.connections++;
    try {
      const inner = await listener.connect();
      this.#byInnerPort.set(inner.localAddr.port, connection);
      return inner;
    } catch (error) {
      this.#options.failed?.(error);
      return undefined;
    }
  }

  #forget(connection: Connection): void {
    const listener = this.#connections.get(connection);
    this.#connections.delete(connection);
    if (this.#byInnerPort.get(connection.innerPort) === connection) this.#byInnerPort.delete(connection.innerPort);
    if (listener === undefined) return;
    listener.connections--;
    if (listener.connections === 0 && listener !== this.#newest) this.#trim();
  }

  #sweep(): void {
    for (const connection of this.#connections.keys()) {
      const reason = connection.overdue();
      if (reason) connection.end(reason);
    }
    this.#trim();
  }

  /** Closes former listeners that nobody uses, and cuts the connections of those that are too old or too many. */
  #trim(): void {
    const { retired, retiredMs } = this.#limits;
    const excess = this.#retired.length - retired;
    for (const [index, { listener, since }] of [...this.#retired].entries()) {
      if (index < excess || this.#now() - since > retiredMs) {
        for (const [connection, its] of this.#connections) if (its === listener) connection.end("retired");
      }
      if (listener.connections === 0) {
        this.#retired.splice(this.#retired.findIndex((r) => r.listener === listener), 1);
        listener.close().catch((error) => this.#options.failed?.(error));
      }
    }
  }

  /** No request of its listener is under way, and it says nothing. */
  #isQuiet(connection: Connection): boolean {
    return connection.idleMs > QUIET_MS && !this.#connections.get(connection)?.inFlight;
  }
}
