import { MUTATE_PATH } from "../core/names.ts";
import { type BodyLimits, HttpError, readBody } from "./request_body.ts";

/** What the admission endpoint needs. */
export interface AdmissionDeps {
  /**
   * From the body of an AdmissionReview to that of its answer, JSON in UTF-8. A throw with a numeric `status` of 400 to 499
   * is the client's fault, any other is ours.
   */
  review: (body: Uint8Array) => Uint8Array<ArrayBuffer>;
  /** Told of each request. */
  observe: AdmissionObserver;
  /** Those that differ from `ADMISSION_LIMITS`. */
  limits?: Partial<BodyLimits>;
  /** Steady clock, ms. */
  now?: () => number;
}

/** Told what the admission endpoint does, for metrics and log. */
export interface AdmissionObserver {
  /** A request has its answer: HTTP status, and ms since its head had come. */
  answered(status: number, ms: number): void;
  /** A request was refused as the client's fault (status 400 to 499). */
  refused(status: number, error: Error): void;
  /** A fault of ours: the pod is refused by `failurePolicy: Fail`. */
  failed(error: unknown): void;
}

/**
 * Limits in use. 7 MiB: etcd's and the API server's own limits keep a pod below 3 MiB, which the review may hold twice. The
 * API server waits 5 s for us (`timeoutSeconds`), so later bytes have no reader.
 */
export const ADMISSION_LIMITS: BodyLimits = { maxBytes: 7 << 20, deadlineMs: 5_000 };

/**
 * The admission endpoint as a handler of `Deno.serve`. It never rejects.
 *
 * | request | answer |
 * | --- | --- |
 * | another path | 404 |
 * | another method than POST | 405 |
 * | a media type other than application/json | 415 |
 * | a body longer than `maxBytes` | 413 |
 * | a body slower than `deadlineMs` | 408, and the connection ends |
 * | a body that ends early, or that `review` finds no review | 400 |
 * | a fault of ours | 500; `failurePolicy: Fail` refuses the pod |
 * | any other | 200, whatever the verdict |
 */
export function createAdmissionHandler(deps: AdmissionDeps): (request: Request) => Promise<Response> {
  const { review, observe, now = () => performance.now() } = deps;
  const limits = { ...ADMISSION_LIMITS, ...deps.limits };

  return async (request) => {
    const start = now();
    const response = await answer(request);
    observe.answered(response.status, now() - start);
    return response;
  };

  async function answer(request: Request): Promise<Response> {
    try {
      checkHead(request);
      return json(review(await readBody(request, limits)));
    } catch (error) {
      const status = statusOf(error);
      if (status === 500) {
        observe.failed(error);
        return text(500, "Cannot review: internal error; the provider's log has it");
      }
      observe.refused(status, error as Error);
      return text(status, (error as Error).message);
    }
  }
}

function checkHead(request: Request): void {
  if (pathOf(request.url) !== MUTATE_PATH) {
    throw new HttpError(404, `Cannot serve this path: only ${MUTATE_PATH} is here`);
  }
  if (request.method !== "POST") throw new HttpError(405, `Cannot serve ${request.method}: only POST is allowed`);
  const type = request.headers.get("content-type");
  if (mediaTypeOf(type) !== "application/json") {
    throw new HttpError(415, `Cannot read media type "${(type ?? "").slice(0, 100)}": must be application/json`);
  }
}

/** Without the query: the API server adds its time-out as one. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}

function mediaTypeOf(contentType: string | null): string | undefined {
  if (contentType === "application/json") return contentType;
  return contentType?.split(";", 1)[0]?.trim().toLowerCase();
}

function statusOf(error: unknown): number {
  const status = error instanceof Error && "status" in error ? error.status : undefined;
  return typeof status === "number" && status >= 400 && status < 500 ? status : 500;
}

/**
 * Head and body of an answer leave in one write if the body is sent in chunks: by its length `Deno.serve` writes them one after
 * the other, and Nagle's algorithm keeps the second until the client's delayed ACK, 40 ms later. That holds up to 16,000 bytes;
 * more takes a second TLS record, which waits as well. (A stream without a length does the same, and costs 14 µs more.)
 */
const IN_CHUNKS = { "transfer-encoding": "chunked" };

function json(bytes: Uint8Array<ArrayBuffer>): Response {
  return new Response(bytes, { headers: { "content-type": "application/json", ...IN_CHUNKS } });
}

/** Closes on 408, when the rest of the body may still come, and on 413, when most of it will. */
function text(status: number, message: string): Response {
  const headers: Record<string, string> = { "content-type": "text/plain; charset=utf-8", ...IN_CHUNKS };
  if (status === 405) headers.allow = "POST";
  if (status === 408 || status === 413) headers.connection = "close";
  return new Response(`${message}\n`, { status, headers });
}
