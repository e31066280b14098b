import { type AdmissionDeps, createAdmissionHandler } from "../../lib/webhook/admission_server.ts";
import type { KeyPair } from "../../lib/webhook/certificate_source.ts";
import type { EndReason } from "../../lib/webhook/connection.ts";
import { Front, type FrontLimits } from "../../lib/webhook/front.ts";
import type { Handler } from "../../lib/webhook/tls_listener.ts";
import { type Authority, CertificateMaker } from "../../lib/webhook/x509.ts";

export const DAY = 86_400_000;

const shared = Promise.withResolvers<{ maker: CertificateMaker; ca: Authority; pair: KeyPair }>();
let asked = false;

/** One authority and one certificate for 127.0.0.1, made once in each test file. */
export function certificates(): typeof shared.promise {
  if (!asked) make().then(shared.resolve, shared.reject);
  asked = true;
  return shared.promise;
}

async function make(): Promise<{ maker: CertificateMaker; ca: Authority; pair: KeyPair }> {
  const maker = await CertificateMaker.load();
  const validity = { nowMs: Date.now(), lifetimeMs: DAY };
  const ca = await maker.authority(validity);
  const leaf = await maker.leaf(ca, { ...validity, names: ["webhook.test.svc", "127.0.0.1"] });
  return { maker, ca, pair: { ...leaf, notAfter: validity.nowMs + validity.lifetimeMs } };
}

export interface TestFrontOptions {
  handler?: Handler;
  limits?: Partial<FrontLimits>;
  /** The front's clock runs by itself. */
  realTime?: boolean;
  sleep?: (ms: number) => Promise<void>;
}

/** A front on a port of loopback, and what it told. */
export class TestFront implements AsyncDisposable {
  readonly front: Front;
  readonly ended: EndReason[] = [];
  readonly faults: unknown[] = [];
  readonly ca: string;
  /** The front's clock, ms; it moves when the test says so. */
  time = 1_000;

  private constructor(ca: string, options: TestFrontOptions) {
    const { handler = () => new Response("hello"), limits, realTime, sleep } = options;
    this.ca = ca;
    this.front = new Front({
      hostname: "127.0.0.1",
      port: 0,
      handler,
      limits: { sweepMs: 10, ...limits },
      ...(sleep ? { sleep } : {}),
      ...(realTime ? {} : { now: () => this.time }),
      ended: (reason) => this.ended.push(reason),
      failed: (error) => this.faults.push(error),
    });
  }

  static async start(options: TestFrontOptions = {}): Promise<TestFront> {
    const { ca, pair } = await certificates();
    const it = new TestFront(ca.cert, options);
    it.front.use(pair);
    return it;
  }

  /** A TLS client. Nagle's algorithm is off, as in Go: it would cost each request 40 ms. */
  async tls(): Promise<Deno.TlsConn> {
    const conn = await this.tcp();
    conn.setNoDelay(true);
    return Deno.startTls(conn, { hostname: "127.0.0.1", caCerts: [this.ca], alpnProtocols: ["http/1.1"] });
  }

  /** A client that has not said anything yet. */
  tcp(): Promise<Deno.TcpConn> {
    const { hostname, port } = this.front.addr;
    return Deno.connect({ hostname, port });
  }

  /** Moves the clock, and lets the front look at it. */
  async pass(ms: number): Promise<void> {
    this.time += ms;
    await new Promise((resolve) => setTimeout(resolve, 40));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.front.close();
  }
}

/** The admission handler with a `review` that answers at once. */
export function admission(deps: Partial<AdmissionDeps> = {}): ReturnType<typeof createAdmissionHandler> {
  return createAdmissionHandler({
    review: () => encode("{}"),
    observe: { answered() {}, refused() {}, failed() {} },
    ...deps,
  });
}

export function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Writes all of it. */
export async function send(conn: Deno.Conn, data: string | Uint8Array): Promise<void> {
  let rest = typeof data === "string" ? encode(data) : data;
  while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
}

/** All that comes until the other side closes; a reset ends it too. */
export async function receiveAll(conn: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  try {
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      text += decoder.decode(buffer.subarray(0, n), { stream: true });
    }
  } catch (error) {
    if (error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource) throw error;
  }
  return text;
}

/** The head of one answer and its body (chunked or of a known length), leaving the connection open. */
export async function receive(conn: Deno.Conn): Promise<{ status: number; head: string; body: string }> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    const end = text.indexOf("\r\n\r\n");
    if (end >= 0) {
      const head = text.slice(0, end).toLowerCase();
      const rest = text.slice(end + 4);
      const length = /content-length: (\d+)/.exec(head)?.[1];
      const status = Number(head.split(" ")[1]);
      if (length !== undefined && rest.length >= Number(length)) return { status, head, body: rest };
      if (length === undefined && rest.endsWith("0\r\n\r\n")) {
        const body = rest.replace(/^[0-9a-f]+\r\n/, "").replace(/\r\n0\r\n\r\n$/, "");
        return { status, head, body };
      }
    }
    const n = await conn.read(buffer);
    if (n === null) throw new Error(`Cannot read answer: it ended after ${JSON.stringify(text)}`);
    text += decoder.decode(buffer.subarray(0, n), { stream: true });
  }
}

/** A request to the admission endpoint as bytes on the wire. */
export function post(
  body: string,
  headers: Record<string, string> = {},
  target = "POST /mutate/pod?timeout=5s",
): string {
  const all = {
    host: "webhook",
    "content-type": "application/json",
    "content-length": String(body.length),
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== "").map(([name, value]) => `${name}: ${value}\r\n`);
  return `${target} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}

/** Waits until `condition` holds. @throws if it does not within `ms`. */
export async function until(condition: () => boolean, ms = 10_000): Promise<void> {
  for (const end = performance.now() + ms; !condition();) {
    if (performance.now() > end) throw new Error(`Cannot go on: not within ${ms} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
