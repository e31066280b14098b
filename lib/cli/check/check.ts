import type { Settings } from "../../core/settings.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { Dial } from "./dial.ts";
import type { Survey } from "./survey.ts";

/** How good what was found is. Only `fail` makes the command fail. */
export type Level = "ok" | "warn" | "fail";

/** One thing that was found. */
export interface Finding {
  level: Level;
  /** In the operator's words, naming object and field. */
  message: string;
  /** What to do. */
  remedy?: string;
}

/** What a check may use. */
export interface CheckDeps {
  client: Pick<KubeClient, "get" | "create" | "listAll" | "raw">;
  /** Those of this command line. */
  settings: Settings;
  /** What several checks read, each read once. */
  survey: Survey;
  /** Of this program. */
  version: string;
  /** ms since 1970. */
  now(): number;
  /** Shakes hands with a TLS server. */
  dial: Dial;
}

/** One topic to examine. */
export interface Check {
  /** Short name, in each line of output. */
  id: string;
  /** What it looks at, in a few words. */
  title: string;
  /** `always`, or only where Data Spacer is installed. */
  where: "always" | "installed";
  /** What it finds, as it goes. What it throws becomes a finding. */
  run(deps: CheckDeps): AsyncIterable<Finding>;
}

/** All is well here. */
export function ok(message: string): Finding {
  return { level: "ok", message };
}

/** Worth knowing, or not to be told. */
export function warn(message: string, remedy?: string): Finding {
  return { level: "warn", message, ...(remedy === undefined ? {} : { remedy }) };
}

/** Must be put right. */
export function fail(message: string, remedy?: string): Finding {
  return { level: "fail", message, ...(remedy === undefined ? {} : { remedy }) };
}
