import { type Finding, type Reason, reasons } from "../core/reasons.ts";
import type { Log } from "../ops/log.ts";

/** What a report goes to. */
export interface ReportDeps {
  /** Emits an Event that regards a Namespace. */
  event(
    namespace: { name: string; uid: string },
    event: { type: "Normal" | "Warning"; reason: Reason; message: string },
  ): void;
  log: Log;
  /** Counts a report. */
  count(reason: Reason): void;
}

/** Says a finding in the three ways an operator may hear of it: Event, log line, metric. */
export type Report = (namespace: { name: string; uid: string }, finding: Finding) => void;

/** Makes the report. */
export function createReport({ event, log, count }: ReportDeps): Report {
  return (namespace, { reason, message }) => {
    const { type } = reasons[reason];
    count(reason);
    log[type === "Warning" ? "warn" : "info"]("Reported", { namespace: namespace.name, reason, detail: message });
    event(namespace, { type, reason, message });
  };
}
