import type { Log } from "./log.ts";

/** Resolves when all is well; otherwise rejects with a message that says what is not. */
export type Check = (signal: AbortSignal) => Promise<void>;

/** What {@linkcode OpsServer} needs. */
export interface OpsServerOptions {
  hostname: string;
  /** 0: any that is free. */
  port: number;
  /** All must pass for the replica to be ready, by name. */
  checks: Readonly<Record<string, Check>>;
  metrics: { text(): Promise<string>; readonly contentType: string };
  log: Log;
  /** Time for each check and for a scrape, ms; less than the kubelet waits for its probe. */
  limitMs?: number;
}

/**
 * The endpoints for kubelet and Prometheus, plain HTTP, from the moment of construction.
 *
 * | path | answer |
 * | --- | --- |
 * | /healthz | 200 as long as the event loop turns |
 * | /readyz | 200 if all checks pass, else 503; the body has a line for each |
 * | /metrics | Prometheus' text format |
 */
export class OpsServer implements AsyncDisposable {
  readonly #options: OpsServerOptions;
  readonly #limitMs: number;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** Whoever asks meanwhile gets the answer of the run under way: no client can make us work more than one at a time. */
  #running: Promise<{ status: number; body: string }> | undefined;
  #failing = "";

  /** @throws {Deno.errors.AddrInUse} if the port is taken. */
  constructor(options: OpsServerOptions) {
    this.#options = options;
    this.#limitMs = options.limitMs ?? 2_000;
    this.#server = Deno.serve({
      hostname: options.hostname,
      port: options.port,
      onListen: () => {},
      onError: (error) => {
        options.log.error("Cannot answer on the ops port", { error });
        return text(500, "internal error");
      },
    }, (request) => this.#answer(request));
  }

  /** Where it listens. */
  get port(): number {
    return this.#server.addr.port;
  }

  /**
   * Takes no more requests, and waits for those under way. The limits of their work bound it; a client that does not read
   * its answer is left behind, since Deno cannot cut requests off once the shutdown has begun (BadResource, uncaught).
   */
  async shutdown(): Promise<void> {
    const down = this.#server.shutdown();
    await within(this.#limitMs + 100, () => down).catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    if (request.method !== "GET" && request.method !== "HEAD") return text(405, "GET or HEAD", { allow: "GET, HEAD" });
    switch (new URL(request.url).pathname) {
      case "/healthz":
        return text(200, "ok");
      case "/readyz":
        return await this.#readyz();
      case "/metrics":
        return await this.#metrics();
      default:
        return text(404, "/healthz, /readyz or /metrics");
    }
  }

  async #readyz(): Promise<Response> {
    this.#running ??= this.#runChecks().finally(() => this.#running = undefined);
    const { status, body } = await this.#running;
    return text(status, body);
  }

  async #runChecks(): Promise<{ status: number; body: string }> {
    const { checks, log } = this.#options;
    const results = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => {
        const problem = await within(this.#limitMs, check).then(() => undefined, messageOf);
        return { name, problem };
      }),
    );
    const problems = results.filter(({ problem }) => problem !== undefined);
    const failing = problems.map(({ name }) => name).join();
    if (failing !== this.#failing) {
      if (failing === "") log.info("Ready again");
      else log.warn("Not ready", { problems });
      this.#failing = failing;
    }
    const lines = results.map(({ name, problem }) => problem === undefined ? `${name}: ok` : `${name}: ${problem}`);
    return { status: failing === "" ? 200 : 503, body: lines.join("\n") };
  }

  async #metrics(): Promise<Response> {
    const { metrics } = this.#options;
    const body = await within(this.#limitMs, () => metrics.text());
    return new Response(body, { headers: { "content-type": metrics.contentType, "cache-control": "no-store" } });
  }
}

/** What `work` gives, or a rejection when that takes too long. */
async function within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const reason = new Error(`no answer within ${ms} ms`);
      reject(reason);
      late.abort(reason);
    }, ms);
  });
  try {
    return await Promise.race([work(late.signal), limit]);
  } finally {
    clearTimeout(timer);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function text(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(`${body}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", ...headers },
  });
}
