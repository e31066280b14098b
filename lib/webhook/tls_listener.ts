import type { KeyPair } from "./certificate_source.ts";

/** Answers a request; never rejects. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** What a {@linkcode TlsListener} tells and asks. */
export interface TlsListenerDeps {
  /** Answers requests. */
  handler: Handler;
  /** An answer carries `connection: close`: the connection whose inner half has this port is to end. */
  last(innerPort: number): void;
}

/**
 * One `Deno.serve` TLS listener on loopback, for the life of one certificate, which it cannot change.
 *
 * `Deno.serve` sends `connection: close` but does not close, so that it is the front's to do.
 */
export class TlsListener {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #deps: TlsListenerDeps;
  #retired = false;
  #inFlight = 0;
  /** Connections that the front has spliced to it. */
  connections = 0;

  /** @throws {Deno.errors.InvalidData} if certificate or key cannot be used. */
  constructor(pair: KeyPair, deps: TlsListenerDeps) {
    this.#deps = deps;
    this.#server = Deno.serve({
      hostname: "127.0.0.1", // nobody but the front: its limits are the only ones
      port: 0,
      cert: pair.cert,
      key: pair.key,
      onListen: () => {},
    }, (request, info) => this.#answer(request, info));
  }

  /** Requests whose answer has not begun. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Opens the inner half of a connection. */
  connect(): Promise<Deno.TcpConn> {
    const { hostname, port } = this.#server.addr;
    return Deno.connect({ hostname, port });
  }

  /** From now on each answer is the last of its connection. Clients then leave without losing a request. */
  retire(): void {
    this.#retired = true;
  }

  /** Ends the listener; to be called when its connections have gone. It waits a second at most for a handler that hangs. */
  async close(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const enough = new Promise<void>((resolve) => timer = setTimeout(resolve, 1_000));
    await Promise.race([this.#server.shutdown(), enough]);
    clearTimeout(timer);
  }

  async #answer(request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>): Promise<Response> {
    this.#inFlight++;
    try {
      const response = await this.#deps.handler(request);
      if (this.#retired) response.headers.set("connection", "close");
      if (response.headers.get("connection") === "close") this.#deps.last(info.remoteAddr.port);
      return response;
    } finally {
      this.#inFlight--;
    }
  }
}
