import * as v from "valibot";
import { options } from "./options.ts";
import type { Settings } from "./settings.ts";

/** A setting given as text, and where it came from (`--workers` or `WORKERS`), for messages. */
export interface Given {
  /** The value as it was written. */
  text: string;
  /** Flag or environment variable. */
  source: string;
}

/**
 * Settings from what was given; the rest are defaults.
 *
 * @throws {RangeError} naming the flag or variable of each value that is not right, and what would be; one line each.
 */
export function parseSettings(given: Partial<Record<keyof Settings, Given>>): Settings {
  const problems: string[] = [];
  const entries = Object.entries(options).map(([key, spec]) => {
    const { text, source } = given[key as keyof Settings] ?? { text: spec.default ?? "", source: `--${spec.flag}` };
    const result = v.safeParse(spec.schema as v.GenericSchema<string, unknown>, text, { abortPipeEarly: true });
    if (!result.success) problems.push(`Cannot use ${source} "${text}": ${result.issues[0].message}`);
    return [key, result.output];
  });
  const settings = Object.fromEntries(entries) as unknown as Settings;
  if (problems.length === 0) problems.push(...conflicts(settings));
  if (problems.length > 0) throw new RangeError(problems.join("\n"));
  return settings;
}

/** What does not fit together although each value is right by itself. */
function conflicts(s: Settings): string[] {
  const problems: string[] = [];
  if ((s.tlsCertFile === undefined) !== (s.tlsKeyFile === undefined)) {
    const missing = s.tlsCertFile === undefined ? "--tls-cert-file" : "--tls-key-file";
    problems.push(`Cannot use a mounted certificate: ${missing} is missing, and both files are needed`);
  }
  if (s.defaultRunAsUser >= s.proxyUids.first && s.defaultRunAsUser <= s.proxyUids.last) {
    problems.push(`Cannot use --default-run-as-user "${s.defaultRunAsUser}": must lie outside --proxy-uids`);
  }
  return problems;
}
