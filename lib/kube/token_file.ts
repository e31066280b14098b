import type { Surroundings } from "./surroundings.ts";

/** Gives the bearer token of the next request; `fresh` after a 401, to look again at once. */
export type TokenSource = (options?: { fresh: boolean }) => string | undefined;

/** How long a token file is taken to be unchanged: the kubelet replaces bound tokens at 80 % of their life. */
const TOKEN_FILE_MS = 60_000;

/**
 * A token that lives in a file and is read again once a minute at most. When a later reading fails the last token
 * stays, since it may still be good and the next reading may succeed.
 * @throws now, if the file cannot be read or is empty.
 */
export function tokenFile(path: string, { read, now }: Pick<Surroundings, "read" | "now">): TokenSource {
  let token = read(path).trim();
  if (token === "") throw new Error(`Cannot use token file "${path}": it is empty`);
  let readAt = now();
  return (options) => {
    if (options?.fresh || now() - readAt >= TOKEN_FILE_MS) {
      readAt = now();
      try {
        token = read(path).trim() || token;
      } catch {
        // The last one stays.
      }
    }
    return token;
  };
}
