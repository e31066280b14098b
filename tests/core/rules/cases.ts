import type { Case } from "./cases/case.ts";
import { names } from "./cases/reserved_names.ts";
import { host } from "./cases/host.ts";
import { securityContext } from "./cases/security_context.ts";
import { identity } from "./cases/identity.ts";
import { network } from "./cases/network.ts";
import { volumes } from "./cases/volumes.ts";
import { scheduling } from "./cases/scheduling.ts";
import { probes } from "./cases/probes.ts";

export type { Case };

/** Pods and what becomes of them, by the topic of the rules. */
export const cases: Readonly<Record<string, Case[]>> = {
  names,
  host,
  "security context": securityContext,
  identity,
  network,
  volumes,
  scheduling,
  probes,
};
