import { isExpired, KubeError } from "./errors.ts";

/**
 * Why a watch began anew:
 * * `ended`: the server's time was over, as asked for
 * * `expired`: the resourceVersion was too old (410), so list again
 * * `stalled`: nothing arrived, not even a bookmark, so list again: a server whose etcd was restored from a backup is
 *   silent like this until it has caught up with our version, which then means something else
 * * `interrupted`: the connection failed
 * * `malformed`: what arrived was not what a watch sends, so list again
 * * `refused`: any other answer, so list again unless the server is only busy
 */
export const RESTART_REASONS = ["ended", "expired", "stalled", "interrupted", "malformed", "refused"] as const;

/** One of {@linkcode RESTART_REASONS}. */
export type RestartReason = typeof RESTART_REASONS[number];

/** {@linkcode RestartReason} as an error, with whether the cache must be read anew. */
export class Interruption extends Error {
  override name = "Interruption";
  constructor(readonly restart: RestartReason, readonly relist: boolean, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** What an error of list or watch means for the next step: the table of {@linkcode RESTART_REASONS}. */
export function judge(error: unknown): { restart: RestartReason; relist: boolean } {
  if (error instanceof Interruption) return error;
  if (isExpired(error)) return { restart: "expired", relist: true };
  if (!(error instanceof KubeError) || error.reason === "Malformed") return { restart: "malformed", relist: true };
  if (error.status === 0) return { restart: "interrupted", relist: false };
  // A busy or starting server knows our version still; others may not (after a restore from backup it is too new).
  return { restart: "refused", relist: error.status !== 429 && error.status !== 503 };
}

/** The server sent what no list or watch has. */
export function malformed(what: string): Interruption {
  return new Interruption("malformed", true, `Cannot read the server's answer: ${what}`);
}
