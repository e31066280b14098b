/** A request that cannot be answered otherwise than by an HTTP status. */
export class HttpError extends Error {
  override readonly name = "HttpError";

  /** `status`: the HTTP status; `message`: what is wrong and what would be right, for the client. */
  constructor(readonly status: number, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Limits of a request's body. */
export interface BodyLimits {
  /** Bytes. */
  maxBytes: number;
  /** From the first look to the last byte, ms. */
  deadlineMs: number;
}

/**
 * The whole body of a request.
 *
 * @throws {HttpError} 413 if it is longer than allowed, 408 if it comes too slowly, 400 if it ends too early.
 */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const length = contentLength(request);
  if (length > limits.maxBytes) throw tooLarge(limits);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new HttpError(408, `Cannot read body: it took longer than ${limits.deadlineMs} ms`)),
      limits.deadlineMs,
    );
  });
  // A known length needs no counting on the way, and is read in one step (the HTTP layer holds the client to it).
  const body = Number.isNaN(length) ? collect(request, limits) : request.bytes();
  try {
    return await Promise.race([body, late]);
  } catch (error) {
    body.catch(() => {}); // it goes on until the connection ends
    if (error instanceof HttpError) throw error;
    throw new HttpError(400, "Cannot read body: it ended before its announced end", { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** NaN if the request does not say: its body comes in chunks. (A request that does both never gets here.) */
function contentLength(request: Request): number {
  const value = request.headers.get("content-length");
  return value === null ? NaN : Number(value);
}

async function collect(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) { // leaving it early cancels the body
    size += chunk.length;
    if (size > limits.maxBytes) throw tooLarge(limits);
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

function tooLarge(limits: BodyLimits): HttpError {
  return new HttpError(413, `Cannot read body: it is longer than ${limits.maxBytes} bytes`);
}
