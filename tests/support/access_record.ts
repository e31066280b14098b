/** One record of the proxy's access log, as lib/core/envoy/access_log.ts has it written. */
export interface AccessRecord {
  time: string;
  type: string;
  direction: "inbound" | "outbound";
  chain?: string;
  source?: string;
  destination?: string;
  method?: string;
  host?: string;
  path?: string;
  sni?: string;
  status?: number;
  flags?: string;
  consumer?: string;
  namespace?: string;
  pod?: string;
  [field: string]: string | number | undefined;
}

/** The record in a line of the proxy's output; undefined if it is Envoy's own log. */
export function readRecord(line: string): AccessRecord | undefined {
  try {
    const record = JSON.parse(line) as Partial<AccessRecord>;
    return record.direction === undefined ? undefined : record as AccessRecord;
  } catch {
    return undefined;
  }
}
