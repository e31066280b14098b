import { chunks, text } from "./body.ts";
import type { Credentials } from "./credentials.ts";
import { errorOfFailure, errorOfStatus, KubeError } from "./errors.ts";
import { certificatesOf } from "./pem.ts";
import { Deadline, type Sleep, sleep as realSleep } from "./time.ts";

/** The identity to act as, see "User impersonation" in the Kubernetes documentation. */
export interface Impersonation {
  user: string;
  groups?: readonly string[];
  uid?: string;
}

/** What {@linkcode Transport} needs. */
export interface TransportOptions {
  credentials: Credentials;
  /** Goes into the API server's audit log. */
  userAgent?: string;
  /** Replaces the credentials' own impersonation. */
  impersonate?: Impersonation;
  /** Time for one call with its retries, in milliseconds; 30 s if absent. */
  timeoutMs?: number;
  sleep?: Sleep;
  random?: () => number;
}

/** One HTTP request in the words of this client. */
export interface KubeRequest {
  /** For messages: `Cannot <action>: …`. */
  action: string;
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  accept?: string;
  contentType?: string;
  body?: string | Uint8Array<ArrayBuffer>;
  signal?: AbortSignal | undefined;
  /** Replaces the transport's. */
  timeoutMs?: number | undefined;
  /** How often a 429 or 503 that says when to come back is asked again; 3 if absent. */
  retries?: number | undefined;
}

/** A successful answer. */
export interface Answer {
  status: number;
  text: string;
}

/** A wait longer than this is the caller's business. */
const MAX_RETRY_AFTER_MS = 10_000;

/** Of a body that is no JSON (a proxy's page) this much goes into the message. */
const MAX_QUOTED = 200;

/** Sends requests with the credentials, turns every failure into a {@linkcode KubeError}. */
export class Transport implements Disposable {
  readonly #credentials: Credentials;
  readonly #http: Deno.HttpClient;
  readonly #headers: readonly [string, string][];
  readonly #timeoutMs: number;
  readonly #sleep: Sleep;
  readonly #random: () => number;

  constructor(options: TransportOptions) {
    const { credentials } = options;
    this.#credentials = credentials;
    this.#http = Deno.createHttpClient({
      caCerts: credentials.ca === undefined ? [] : certificatesOf(credentials.ca),
      ...(credentials.cert !== undefined && credentials.key !== undefined
        ? { cert: credentials.cert, key: credentials.key }
        : {}),
      // Deno never sets TCP_NODELAY: over HTTP/2 every body from 2 KB on waits 44 ms for an ACK, over HTTP/1.1 only
      // the first of a connection does.
      http2: false,
      poolIdleTimeout: 90_000,
    });
    this.#headers = [
      ["user-agent", options.userAgent ?? "data-spacer"],
      ...impersonationHeaders(options.impersonate ?? credentials.impersonate),
    ];
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#sleep = options.sleep ?? realSleep;
    this.#random = options.random ?? Math.random;
  }

  /**
   * The successful answer to `request` as text. The timeout covers all of it.
   * @throws {KubeError} for any other answer and for none.
   * @throws the caller's own abort reason.
   */
  async perform(request: KubeRequest): Promise<Answer> {
    using deadline = new Deadline(request.signal, request.timeoutMs ?? this.#timeoutMs);
    const { signal } = deadline;
    return await this.#attempt(request, deadline, async (response) => ({
      status: response.status,
      text: response.body === null ? "" : await text(chunks(response.body, signal)),
    }));
  }

  /**
   * The successful answer in the parts that `split` makes of it while it arrives. The timeout covers all of it, unless
   * `split` stops the clock of the deadline that it gets.
   * @throws as {@linkcode Transport.perform}, also while the stream goes on.
   */
  async *stream<T>(
    request: KubeRequest,
    split: (body: AsyncIterable<Uint8Array>, deadline: Deadline) => AsyncGenerator<T>,
  ): AsyncGenerator<T> {
    using deadline = new Deadline(request.signal, request.timeoutMs ?? this.#timeoutMs);
    const body = await this.#attempt(request, deadline, (response) => Promise.resolve(response.body));
    try {
      if (body === null) throw new SyntaxError("the answer has no body");
      yield* split(chunks(body, deadline.signal), deadline);
    } catch (error) {
      throw translate(request, deadline, error);
    }
  }

  /** Closes idle connections; requests in flight fail. */
  [Symbol.dispose](): void {
    this.#http.close();
  }

  async #attempt<T>(
    request: KubeRequest,
    deadline: Deadline,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    for (let retries = request.retries ?? 3;; retries--) {
      try {
        return await read(await this.#send(request, deadline.signal));
      } catch (error) {
        const failure = translate(request, deadline, error);
        const waitMs = retries > 0 ? retryDelay(failure, this.#random()) : undefined;
        if (waitMs === undefined) throw failure;
        await this.#sleep(waitMs, deadline.signal).catch(() => {
          throw request.signal?.aborted ? request.signal.reason : failure;
        });
      }
    }
  }

  async #send(request: KubeRequest, signal: AbortSignal): Promise<Response> {
    const url = urlOf(this.#credentials.server, request);
    const token = this.#credentials.token?.();
    let response = await this.#fetch(url, request, signal, token);
    if (response.status === 401 && token !== undefined) {
      // A bound token may have been replaced since it was read.
      const fresh = this.#credentials.token?.({ fresh: true });
      if (fresh !== token) {
        await response.body?.cancel();
        response = await this.#fetch(url, request, signal, fresh);
      }
    }
    if (response.ok) return response;
    const body = response.body === null ? "" : await text(chunks(response.body, signal));
    throw errorOfStatus(request.action, response.status, statusOf(body), response.headers.get("retry-after"));
  }

  #fetch(url: string, request: KubeRequest, signal: AbortSignal, token: string | undefined): Promise<Response> {
    const headers: [string, string][] = [
      ...this.#headers,
      ["accept", request.accept ?? "application/json"],
      // Lists would come compressed: 8 to 10 MB of memory here and time of the API server, to save it a near network.
      ["accept-encoding", "identity"],
    ];
    if (token !== undefined) headers.push(["authorization", `Bearer ${token}`]);
    if (request.body !== undefined) headers.push(["content-type", request.contentType ?? "application/json"]);
    return fetch(url, {
      method: request.method,
      headers,
      client: this.#http,
      signal,
      redirect: "manual", // a redirect could carry the token elsewhere
      ...(request.body === undefined ? {} : { body: request.body }),
    });
  }
}

function urlOf(server: string, request: KubeRequest): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) query.set(key, String(value));
  }
  // The server may have a path of its own (a proxy in front of several clusters), so no `new URL(path, server)`.
  const base = server.endsWith("/") ? server.slice(0, -1) : server;
  return query.size === 0 ? base + request.path : `${base}${request.path}?${query}`;
}

function impersonationHeaders(impersonate: Impersonation | undefined): [string, string][] {
  if (impersonate === undefined) return [];
  return [
    ["impersonate-user", impersonate.user],
    ...(impersonate.groups ?? []).map((group): [string, string] => ["impersonate-group", group]),
    ...(impersonate.uid === undefined ? [] : [["impersonate-uid", impersonate.uid] as [string, string]]),
  ];
}

function statusOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.trim().slice(0, MAX_QUOTED) };
  }
}

/** What the caller gets: its own abort reason, or a KubeError. */
function translate(request: KubeRequest, deadline: Deadline, error: unknown): unknown {
  if (request.signal?.aborted) return request.signal.reason;
  if (deadline.expired) {
    const message = `Cannot ${request.action}: ${deadline.signal.reason.message}`;
    return new KubeError({ status: 0, reason: "Timeout", message }, { cause: error });
  }
  return error instanceof KubeError ? error : errorOfFailure(request.action, error);
}

/** The wait before the same request again, or undefined where only the caller can decide. */
function retryDelay(error: unknown, random: number): number | undefined {
  if (!(error instanceof KubeError) || (error.status !== 429 && error.status !== 503)) return undefined;
  const { retryAfterMs } = error;
  if (retryAfterMs === undefined || retryAfterMs > MAX_RETRY_AFTER_MS) return undefined;
  return Math.round(retryAfterMs * (1 + random / 4) + random * 100); // not before, and not all at once
}
