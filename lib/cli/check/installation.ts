import { objects, PRODUCT } from "../../core/names.ts";
import { resources } from "../../kube/resources.ts";
import { UsageError } from "../verb.ts";
import { type Check, type CheckDeps, fail, type Finding, ok, warn } from "./check.ts";
import { logs, reapply } from "./remedies.ts";
import { containerOf, find } from "./survey.ts";

/** Our Deployment: its replicas, version and flags. */
export const installation: Check = {
  id: "installation",
  title: "our Deployment",
  where: "always",
  async *run(deps) {
    const { survey, settings: { namespace, webhookConfiguration } } = deps;
    const deployment = await survey.deployment();
    const name = `Deployment "${namespace}/${PRODUCT}"`;
    if (deployment === undefined) {
      yield await survey.webhookConfiguration() === undefined
        ? warn("Data Spacer is not installed: what it would do is not examined", reapply)
        : fail(
          `${name} is not there, but MutatingWebhookConfiguration "${webhookConfiguration}" is: ` +
            "no pod can be created in offloaded namespaces",
          `${reapply}, or kubectl delete mutatingwebhookconfiguration ${webhookConfiguration}`,
        );
      return;
    }
    const { replicas = 1 } = deployment.spec ?? {};
    const ready = deployment.status?.readyReplicas ?? 0;
    const state = `${name} has ${ready} of ${replicas} replicas ready`;
    const pods = `kubectl -n ${namespace} describe pods -l app.kubernetes.io/name=${PRODUCT}`;
    if (ready < replicas) yield warn(state, pods);
    else if (replicas > 1) yield ok(state);
    else yield warn(`${state}: while none is, no pod can be created in offloaded namespaces`, "run 2 or more");
    yield* version(containerOf(deployment)?.image ?? "", deps);
    yield* flags(deps);
  },
};

function* version(image: string, { version }: CheckDeps): Iterable<Finding> {
  const tag = /^[^@]*:v?([\w.-]+)$/.exec(image)?.[1];
  if (tag === undefined || tag === version) return; // by digest: it does not say
  yield warn(
    `Image "${image}" runs, and this command is version ${version}`,
    "use the command of the version that runs",
  );
}

async function* flags({ survey }: CheckDeps): AsyncIterable<Finding> {
  try {
    await survey.settings();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    for (const line of error.message.split("\n")) yield fail(line, "correct the flags in our Deployment");
  }
}

/** How much the clock of a workstation may differ from the cluster's, ms. */
const CLOCKS_MS = 60_000;

/** The replica that holds the Lease keeps the objects; without one nothing is kept. */
export const leader: Check = {
  id: "leader",
  title: "the replica that leads",
  where: "installed",
  async *run({ client, settings: { namespace }, now }) {
    const lease = await find(client.get(resources.Lease, { namespace, name: objects.lease }));
    const { holderIdentity, renewTime, leaseDurationSeconds = 0 } = lease?.spec ?? {};
    const late = now() - Date.parse(renewTime ?? "") - leaseDurationSeconds * 1_000;
    if (holderIdentity && late < CLOCKS_MS) yield ok(`Replica "${holderIdentity}" leads`);
    else {
      const state = holderIdentity ? `"${holderIdentity}" has not renewed it since ${renewTime}` : "nobody holds it";
      yield fail(
        `No replica leads (Lease "${namespace}/${objects.lease}": ${state}): nothing is kept in offloaded namespaces`,
        logs(namespace),
      );
    }
  },
};
