/** What a verb may touch of the process. */
export interface Process {
  /** Environment variable, if set. */
  env(name: string): string | undefined;
  /** Writes to standard output. */
  out(text: string): void;
  /** Standard output is a terminal. */
  terminal: boolean;
  /** Writes to standard error. */
  err(text: string): void;
  /** Text of a file; `-` is standard input. */
  read(file: string): Promise<string>;
}

/** A verb of the command line: gets the arguments behind its name, returns the exit code. */
export type Verb = (args: string[], process: Process) => Promise<number>;

/** Wrong usage: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Text that cannot speak to a terminal nor begin a line: names in it may be a consumer's. Direction marks and the like (Cf) mislead a reader too. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}
