import { access } from "./access.ts";
import type { Check } from "./check.ts";
import { installation, leader } from "./installation.ts";
import { keptObjects } from "./kept_objects.ts";
import { liqoInstalled } from "./liqo.ts";
import { namespaces } from "./namespaces.ts";
import { networkEngine } from "./network_engine.ts";
import { ownNamespace } from "./own_namespace.ts";
import { policies } from "./policies.ts";
import { runningPods } from "./running_pods.ts";
import { trialPods } from "./trial_pods.ts";
import { webhookTrust } from "./trust.ts";
import { apiServer, kubelets } from "./versions.ts";
import { webhookRegistration } from "./webhook.ts";

/** Every check, in the order of the output: the cluster, our installation, what it keeps, what runs. */
export const checks: readonly Check[] = [
  apiServer,
  kubelets,
  liqoInstalled,
  networkEngine,
  ownNamespace,
  installation,
  leader,
  access,
  webhookRegistration,
  webhookTrust,
  policies,
  namespaces,
  keptObjects,
  trialPods,
  runningPods,
];
