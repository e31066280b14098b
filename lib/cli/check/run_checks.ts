import { KubeError } from "../../kube/errors.ts";
import { type Check, type CheckDeps, fail, type Finding, warn } from "./check.ts";
import { isForbidden } from "./survey.ts";

/** A finding, and the check that it belongs to. */
export interface Line extends Finding {
  /** `id` of the check. */
  check: string;
}

/** Runs checks in order. A check that throws gives a finding; if the first finds no API server, the others are left out. */
export async function* runChecks(checks: readonly Check[], deps: CheckDeps): AsyncGenerator<Line> {
  for (const [index, check] of checks.entries()) {
    try {
      if (check.where === "installed" && !await isInstalled(deps)) continue;
      for await (const finding of check.run(deps)) yield { check: check.id, ...finding };
    } catch (error) {
      yield { check: check.id, ...asFinding(error) };
      if (index === 0 && error instanceof KubeError && error.status === 0) return;
    }
  }
}

/** What cannot be told may be there. */
function isInstalled(deps: CheckDeps): Promise<boolean> {
  return deps.survey.installed().catch(() => true);
}

/** How the API server says that a right is missing. */
const MISSING_RIGHT = /User "([^"]*)" cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(.*)$/;

/** The finding that an error makes: what we may not read is no fault of the cluster's. */
export function asFinding(error: unknown): Finding {
  if (isForbidden(error)) {
    const [, user, verb, resource, group, where = ""] = MISSING_RIGHT.exec(error.message) ?? [];
    const what = `"${user}" may not ${verb} ${resource}${group ? `.${group}` : ""}${where}`;
    return warn(
      `Cannot tell: ${user === undefined ? error.message : what}`,
      "run this as somebody who may, for example a cluster administrator",
    );
  }
  if (error instanceof KubeError && error.status === 401) {
    return fail(error.message, "log in again, or name other credentials with --kubeconfig and --context");
  }
  return fail(error instanceof Error ? error.message : String(error));
}
