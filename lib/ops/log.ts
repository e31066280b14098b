/** How much is worth a line, from everything to failures alone. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What a log line carries beside its constant message. */
export type LogFields = Record<string, unknown>;

/** Writes lines of a constant message plus fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with `fields` added to every line. */
  with(fields: LogFields): Log;
}

/** What {@linkcode createLog} needs. */
export interface LogOptions {
  /** Lines below this level are dropped. */
  level: LogLevel;
  /** Takes one line with its line break; by default standard error, so that a verb's output stays clean. */
  write?: (line: string) => void;
  /** The time of a line. */
  now?: () => Date;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** An error's chain of causes can be a ring; nobody reads further than this. */
const MAX_CAUSES = 8;

/**
 * A log of JSON lines, `{time, level, message, ...fields}`. Errors among the fields become their name, message and
 * causes, with the stack when the level is debug. Writing is synchronous and never throws: a lost log must not stop
 * what it reports on.
 */
export function createLog(options: LogOptions): Log {
  const { level, write = writeToStderr, now = () => new Date() } = options;
  const threshold = LEVELS.indexOf(level);
  const withStack = level === "debug";

  function make(base: LogFields): Log {
    function line(at: LogLevel, message: string, fields: LogFields | undefined): void {
      if (LEVELS.indexOf(at) < threshold) return;
      const head = { time: now().toISOString(), level: at, message };
      // The head comes first for the reader, and last so that no field replaces it.
      const entry: LogFields = { ...head, ...base, ...fields, ...head };
      write(`${plain(stringify(entry, withStack))}\n`);
    }
    return {
      debug: (message, fields) => line("debug", message, fields),
      info: (message, fields) => line("info", message, fields),
      warn: (message, fields) => line("warn", message, fields),
      error: (message, fields) => line("error", message, fields),
      with: (fields) => make({ ...base, ...fields }),
    };
  }
  return make({});
}

function stringify(entry: LogFields, withStack: boolean): string {
  const replace = (_key: string, value: unknown): unknown => {
    if (value instanceof Error) return describeError(value, withStack, 0);
    return typeof value === "bigint" ? value.toString() : value;
  };
  try {
    return JSON.stringify(entry, replace);
  } catch (error) {
    const { time, level, message } = entry;
    return JSON.stringify({ time, level, message, unloggable: String(error) }); // a ring, or a toJSON that throws
  }
}

/** What JSON leaves as it is, but a terminal obeys or a reader is misled by: fields may quote what a stranger wrote. All of it stands in texts. */
function plain(json: string): string {
  return json.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  );
}

function describeError(error: Error, withStack: boolean, depth: number): LogFields {
  const described: LogFields = { name: error.name, message: error.message };
  for (const key of ["code", "status", "reason"] as const) {
    const value = (error as unknown as LogFields)[key];
    if (typeof value === "string" || typeof value === "number") described[key] = value;
  }
  if (withStack && error.stack) described.stack = error.stack;
  if (error.cause !== undefined && depth < MAX_CAUSES) {
    described.cause = error.cause instanceof Error ? describeError(error.cause, withStack, depth + 1) : error.cause;
  }
  if (error instanceof AggregateError && depth < MAX_CAUSES) {
    described.errors = error.errors.map((e) => e instanceof Error ? describeError(e, withStack, depth + 1) : e);
  }
  return described;
}

const encoder = new TextEncoder();

function writeToStderr(line: string): void {
  let rest = encoder.encode(line);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stderr.writeSync(rest));
  } catch {
    // The reader of the log has gone: there is nowhere left to say so.
  }
}
