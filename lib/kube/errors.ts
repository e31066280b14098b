/** What went wrong with a request, see {@linkcode KubeError}. */
export interface KubeErrorFields {
  /** HTTP status; 0 when there was no answer; the code of the Status object for an ERROR event of a watch. */
  status: number;
  /** Reason of the Status object, such as "NotFound"; of our own: "Network", "Timeout", "Malformed". */
  reason: string;
  /** `Cannot <action>: <state>`. */
  message: string;
  /** How long the server asks to wait before the next attempt, in milliseconds. */
  retryAfterMs?: number;
  /** The `details` of the Status object, as they came. */
  details?: StatusDetails;
}

/** The part of a Status object that says what it is about (meta/v1 StatusDetails). */
export interface StatusDetails {
  name?: string;
  kind?: string;
  retryAfterSeconds?: number;
  causes?: { reason?: string; message?: string; field?: string }[];
}

/** A request that the API server refused, or that did not reach it. */
export class KubeError extends Error {
  override name = "KubeError";
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
  readonly details: StatusDetails | undefined;

  constructor(fields: KubeErrorFields, options?: ErrorOptions) {
    super(fields.message, options);
    this.status = fields.status;
    this.reason = fields.reason;
    this.retryAfterMs = fields.retryAfterMs;
    this.details = fields.details;
  }
}

/** The object does not exist (or its kind, or its namespace). */
export function isNotFound(error: unknown): boolean {
  return error instanceof KubeError && error.status === 404;
}

/** Somebody else wrote first, or an object of that name exists; {@linkcode isAlreadyExists} tells the latter. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409;
}

/** An object of that name exists already. */
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409 && error.reason === "AlreadyExists";
}

/** The resourceVersion or continue token is too old: only a new list helps. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubeError &&
    (error.status === 410 || error.reason === "Expired" || error.reason === "Gone");
}

/** The same request may succeed later: no answer, 429 or 5xx. */
export function isRetryable(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 0 || error.status === 429 || error.status >= 500);
}

/**
 * The error for an answer that is no success, or for the object of an ERROR event: `body` is a Status object if the
 * API server wrote it, and anything at all if something between did.
 */
export function errorOfStatus(
  action: string,
  httpStatus: number,
  body: unknown,
  retryAfter?: string | null,
): KubeError {
  const status = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  const details = (typeof status.details === "object" ? status.details ?? undefined : undefined) as
    | StatusDetails
    | undefined;
  const state = typeof status.message === "string" && status.message !== ""
    ? status.message
    : `HTTP status ${httpStatus || "unknown"}`;
  const seconds = details?.retryAfterSeconds ?? Number(retryAfter || NaN);
  return new KubeError({
    status: httpStatus || (typeof status.code === "number" ? status.code : 500),
    reason: typeof status.reason === "string" ? status.reason : "",
    message: `Cannot ${action}: ${state}`,
    ...(seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {}),
    ...(details ? { details } : {}),
  });
}

/** The error for a request without a whole answer: the innermost cause says what happened. */
export function errorOfFailure(action: string, cause: unknown): KubeError {
  let innermost: unknown = cause;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  const state = innermost instanceof Error ? innermost.message : String(innermost);
  const reason = cause instanceof SyntaxError ? "Malformed" : "Network";
  return new KubeError({ status: 0, reason, message: `Cannot ${action}: ${state}` }, { cause });
}
