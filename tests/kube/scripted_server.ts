import assert from "node:assert/strict";
import { KubeClient, type KubeClientOptions } from "../../lib/kube/client.ts";

/** One call that the script allows, and its answer. Only the fields given are compared. */
export interface Call {
  method?: string;
  path: string;
  query?: Record<string, string | null>; // null: must not be there
  headers?: Record<string, string | null>;
  body?: unknown;
  answer: (request: Request) => Response | Promise<Response>;
}

/**
 * A server on loopback that answers exactly the calls of its script, in order. A missing, wrong or extra call fails
 * the test when the server is disposed.
 */
export class ScriptedServer implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #calls: Call[];
  readonly #faults: string[] = [];
  #next = 0;
  #waiting: (() => void)[] = [];

  constructor(calls: Call[]) {
    this.#calls = calls;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** How many calls of the script have arrived. */
  get arrived(): number {
    return this.#next;
  }

  /** Resolves once all calls of the script have arrived. */
  async finished(): Promise<void> {
    while (this.#next < this.#calls.length && this.#faults.length === 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  client(options: Partial<KubeClientOptions> = {}): KubeClient {
    return new KubeClient({ credentials: { server: this.url }, fieldManager: "tester", random: () => 0, ...options });
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const what = `${request.method} ${url.pathname}${url.search}`;
    const call = this.#calls[this.#next];
    try {
      assert.ok(call, `unexpected call ${what}`);
      this.#next++;
      this.#wake();
      assert.equal(`${request.method} ${url.pathname}`, `${call.method ?? "GET"} ${call.path}`);
      for (const [key, value] of Object.entries(call.query ?? {})) {
        assert.equal(url.searchParams.get(key), value, `query ${key} of ${what}`);
      }
      for (const [key, value] of Object.entries(call.headers ?? {})) {
        assert.equal(request.headers.get(key), value, `header ${key} of ${what}`);
      }
      if (call.body !== undefined) assert.deepEqual(await request.json(), call.body, `body of ${what}`);
      return await call.answer(request);
    } catch (error) {
      this.#faults.push(String(error));
      this.#wake();
      return status(418, "Unscripted", String(error));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    assert.deepEqual(this.#faults, []);
    assert.equal(this.#next, this.#calls.length, `${this.#next} of ${this.#calls.length} scripted calls arrived`);
  }
}

/** A failure as the API server writes it. */
export function status(code: number, reason: string, message: string, headers: Record<string, string> = {}): Response {
  const body = { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message };
  return Response.json(body, { status: code, headers });
}

/** A list, or one page of it. */
export function list(resourceVersion: string, items: unknown[], next = ""): Response {
  return Response.json({ kind: "List", apiVersion: "v1", metadata: { resourceVersion, continue: next }, items });
}

/** An object of the size that tests need. */
export function object(name: string, resourceVersion: string, data: Record<string, string> = {}, namespace = "tenant") {
  return { metadata: { name, namespace, resourceVersion, uid: `uid-${name}` }, data };
}

/** One line of a watch. */
export function event(type: string, object: unknown): string {
  return JSON.stringify({ type, object }) + "\n";
}

/** What a {@linkcode stream} does after its pieces. */
export type Ending = "end" | "cut" | "hang";

/**
 * A body that sends its pieces one by one and then ends, breaks off without the end that HTTP asks for, or says
 * nothing more until the client goes away.
 */
export function stream(pieces: (string | Uint8Array)[], ending: Ending = "end"): Response {
  const encoder = new TextEncoder();
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = pieces[at++];
      if (piece !== undefined) {
        controller.enqueue(typeof piece === "string" ? encoder.encode(piece) : piece);
      } else if (ending === "end") {
        controller.close();
      } else if (ending === "cut") {
        await new Promise((resolve) => setTimeout(resolve, 5)); // what was sent must leave before the cut
        controller.error(new Error("cut"));
      } else return new Promise(() => {});
    },
  });
  return new Response(body, { headers: { "content-type": "application/json" } });
}
