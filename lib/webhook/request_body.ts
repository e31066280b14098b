import type { UnderWay } from "./tls_listener.ts";

/** A request that cannot be answered otherwise than by an HTTP status. */
export class HttpError extends Error {
  override readonly name = "HttpError";

  /** `status`: the HTTP status; `message`: what is wrong and what would be right, for the client. */
  constructor(readonly status: number, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/**
 * The whole body of a request. `underWay.giveUp` ends the wait for it.
 *
 * @throws {HttpError} 413 if it is longer than `maxBytes`, 408 if it comes too slowly, 400 if it ends too early.
 */
export function readBody(request: Request, maxBytes: number, underWay: UnderWay | undefined): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    if (underWay) underWay.giveUp = () => reject(new HttpError(408, "Cannot read body: it comes too slowly"));
    read(request, maxBytes).then(resolve, reject); // after giving up it goes on until the connection ends
  });
}

async function read(request: Request, maxBytes: number): Promise<Uint8Array> {
  const length = contentLength(request);
  if (length > maxBytes) throw tooLarge(maxBytes);
  try {
    // A known length needs no counting on the way, and is read in one step (the HTTP layer holds the client to it).
    return await (Number.isNaN(length) ? collect(request, maxBytes) : request.bytes());
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw new HttpError(400, "Cannot read body: it ended before its announced end", { cause: error });
  }
}

/** NaN if the request does not say: its body comes in chunks. (A request that does both never gets here.) */
function contentLength(request: Request): number {
  const value = request.headers.get("content-length");
  return value === null ? NaN : Number(value);
}

async function collect(request: Request, maxBytes: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) { // leaving it early cancels the body
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `Cannot read body: it is longer than ${maxBytes} bytes`);
}
