import type { Log, LogFields, LogLevel } from "./log.ts";

/** Options of {@linkcode sparingLog}. */
export interface SparingLogOptions {
  /** Steady clock, ms. */
  now: () => number;
  /** Lines of one message that may follow each other at once. */
  burst?: number;
  /** How long it takes until one more may follow, ms. */
  everyMs?: number;
}

/** What is left of one message's lines. */
interface Allowance {
  lines: number;
  /** Until when `lines` is reckoned, ms. */
  at: number;
  leftOut: number;
}

/**
 * A log for what strangers can cause: of one message a burst of lines is written, then one now and then, with the number of those left out since
 * the one before as the field `leftOut`. By default 20 lines, then 6 a minute.
 */
export function sparingLog(log: Log, options: SparingLogOptions): Log {
  return spare(log, { burst: 20, everyMs: 10_000, ...options }, new Map());
}

function spare(log: Log, options: Required<SparingLogOptions>, byMessage: Map<string, Allowance>): Log {
  const { now, burst, everyMs } = options;
  function line(level: LogLevel, message: string, fields: LogFields | undefined): void {
    const at = now();
    const before = byMessage.get(message) ?? { lines: burst, at, leftOut: 0 };
    const lines = Math.min(burst, before.lines + (at - before.at) / everyMs);
    if (lines < 1) {
      byMessage.set(message, { lines, at, leftOut: before.leftOut + 1 });
      return;
    }
    byMessage.set(message, { lines: lines - 1, at, leftOut: 0 });
    log[level](message, before.leftOut === 0 ? fields : { ...fields, leftOut: before.leftOut });
  }
  return {
    debug: (message, fields) => line("debug", message, fields),
    info: (message, fields) => line("info", message, fields),
    warn: (message, fields) => line("warn", message, fields),
    error: (message, fields) => line("error", message, fields),
    with: (fields) => spare(log.with(fields), options, byMessage),
  };
}
