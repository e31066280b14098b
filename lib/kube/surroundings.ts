/** Runs a program to its end; its standard output. @throws if it fails. */
export type Run = (command: string, args: string[], env: Record<string, string>) => string;

/** All that looking for credentials touches of the machine. */
export interface Surroundings {
  /** Reads a text file. */
  read: (path: string) => string;
  /** Reads an environment variable. */
  env: (name: string) => string | undefined;
  /** Runs an exec plugin. */
  run: Run;
  /** Milliseconds since 1970. */
  now: () => number;
}
