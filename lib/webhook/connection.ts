import { type HandshakeProgress, HandshakeWatcher } from "./tls_records.ts";

/** Why a connection ended, and what that means; keys are the labels of a metric. */
export const endReasons = {
  done: "client or listener closed it",
  limit: "there were too many connections, and all were in use",
  evicted: "there were too many connections, and this one was of the least use",
  unavailable: "there is no certificate yet, or the listener behind cannot be reached",
  "not-tls": "the client does not speak TLS",
  handshake: "the TLS handshake took too long",
  slow: "the client sends its request too slowly",
  idle: "nothing was said for too long",
  closed: "the answer said that it was the last, and the client did not close",
  retired: "its certificate was replaced long ago",
  drained: "the process ends",
} as const;

/** A key of `endReasons`. */
export type EndReason = keyof typeof endReasons;

/** Limits of one connection, ms. */
export interface ConnectionLimits {
  /** From the first sight of a client to the end of its TLS handshake. */
  handshakeMs: number;
  /** A client that has been sending for this long without an answer sends too slowly. */
  exchangeMs: number;
  /** Nothing comes and nothing goes. kube-apiserver gives up its idle connections after 90 s: be later than that. */
  idleMs: number;
  /** After the last answer, for the client to take it and close. */
  lingerMs: number;
}

/** Bytes that one read takes: a TLS record and a bit. */
const BUFFER = 16_640;

/**
 * One client's TCP connection, spliced to a TLS listener behind it. Nothing is set by timers: the front asks `overdue` once
 * in a while, so that a request costs no timer.
 */
export class Connection {
  readonly #client: Deno.TcpConn;
  readonly #limits: ConnectionLimits;
  readonly #now: () => number;
  readonly #handshake = new HandshakeWatcher();
  #inner: Deno.TcpConn | undefined;
  #progress: HandshakeProgress = "started";
  readonly #openedAt: number;
  /** Address that the client comes from. */
  readonly source: string;
  /** Time of the last byte in either direction. */
  #activeAt: number;
  /** Time of the client's first byte that the listener has not answered yet; 0: none. */
  #askedAt = 0;
  /** Time of the client's last byte. */
  #clientAt = 0;
  /** Time at which nothing more than the client's close was expected; 0: not so. */
  #lingerFrom = 0;
  #ended: EndReason | undefined;

  constructor(client: Deno.TcpConn, limits: ConnectionLimits, now: () => number) {
    this.#client = client;
    this.source = client.remoteAddr.hostname;
    this.#limits = limits;
    this.#now = now;
    this.#openedAt = this.#activeAt = now();
  }

  /** How long nothing has come or gone, ms. */
  get idleMs(): number {
    return this.#now() - this.#activeAt;
  }

  /** How long the client has been sending without an answer, or else has been silent, ms. */
  get uselessMs(): number {
    return this.#now() - (this.#askedAt || this.#activeAt);
  }

  /** Our port of the inner half, by which the listener behind knows this connection; 0: there is none yet. */
  get innerPort(): number {
    return this.#inner?.localAddr.port ?? 0;
  }

  /**
   * Copies both ways until the connection ends; never throws. `connect` opens the inner half once the client has said
   * something that looks like TLS: silent clients cost nothing behind.
   */
  async run(connect: () => Promise<Deno.TcpConn | undefined>): Promise<EndReason> {
    try {
      this.#client.setNoDelay(true);
      const buffer = new Uint8Array(BUFFER);
      const first = await this.#client.read(buffer);
      if (first !== null && this.#look(buffer.subarray(0, first))) {
        this.#inner = await connect();
        if (this.#inner === undefined) this.end("unavailable");
        else await this.#splice(this.#inner, buffer, first);
      }
    } catch {
      // The client reset the connection, or `end` closed it.
    }
    this.end("done");
    return this.#ended!;
  }

  /** Closes both halves now. The first reason given stays. */
  end(reason: EndReason): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    close(this.#client);
    if (this.#inner) close(this.#inner);
  }

  /** The answer on its way is the last: once it is out, the client has a moment to close. */
  endSoon(): void {
    this.#lingerFrom ||= this.#now();
  }

  /** The limit that this connection has passed. */
  overdue(): EndReason | undefined {
    const now = this.#now();
    const { handshakeMs, exchangeMs, idleMs, lingerMs } = this.#limits;
    if (this.#progress === "started") return now - this.#openedAt > handshakeMs ? "handshake" : undefined;
    if (this.#lingerFrom !== 0 && now - this.#lingerFrom > lingerMs) return "closed";
    if (this.#askedAt !== 0 && this.#clientAt - this.#askedAt > exchangeMs) return "slow";
    return now - this.#activeAt > idleMs ? "idle" : undefined;
  }

  async #splice(inner: Deno.TcpConn, buffer: Uint8Array, first: number): Promise<void> {
    if (this.#ended !== undefined) return close(inner);
    inner.setNoDelay(true);
    const up = this.#copyUp(inner, buffer, first);
    await this.#copyDown(inner);
    // The listener has said all. Closing at once would reset the connection if the client is still sending, and a reset
    // may take the answer with it: let the client close.
    await this.#client.closeWrite().catch(() => {});
    this.endSoon();
    await up;
  }

  async #copyUp(inner: Deno.TcpConn, buffer: Uint8Array, first: number): Promise<void> {
    let open = true;
    try {
      for (let count: number | null = first; count !== null; count = await this.#client.read(buffer)) {
        const bytes = buffer.subarray(0, count);
        if (this.#progress === "started" && !this.#look(bytes)) return;
        this.#touch();
        if (open) open = await write(inner, bytes);
      }
      if (open) await inner.closeWrite();
    } catch {
      this.end("done"); // reset by the client, or ended
    }
  }

  async #copyDown(inner: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(BUFFER);
    try {
      for (let count = await inner.read(buffer); count !== null; count = await inner.read(buffer)) {
        this.#activeAt = this.#now();
        this.#askedAt = 0;
        if (!await write(this.#client, buffer.subarray(0, count))) return this.end("done");
      }
    } catch {
      // The listener reset its half, or this connection was ended.
    }
  }

  /** Notes that the client has sent something. */
  #touch(): void {
    const now = this.#now();
    // Not every byte asks for an answer (HTTP/2 has such frames): after a pause it is a new exchange.
    if (this.#askedAt === 0 || now - this.#clientAt > this.#limits.exchangeMs) this.#askedAt = now;
    this.#clientAt = this.#activeAt = now;
  }

  /** Follows the handshake; false if it is none. */
  #look(bytes: Uint8Array): boolean {
    this.#progress = this.#handshake.push(bytes);
    if (this.#progress === "not-tls") this.end("not-tls");
    return this.#progress !== "not-tls";
  }
}

/** Writes all; false if the other side takes no more. */
async function write(to: Deno.TcpConn, bytes: Uint8Array): Promise<boolean> {
  try {
    let written = await to.write(bytes);
    while (written < bytes.length) written += await to.write(bytes.subarray(written));
    return true;
  } catch {
    return false;
  }
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // Closed before.
  }
}
