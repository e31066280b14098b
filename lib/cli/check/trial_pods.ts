import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { NamespacePolicy } from "../../core/namespace_policy.ts";
import { reasons } from "../../core/reasons.ts";
import { isInjected } from "../../core/tenant_containers.ts";
import { KubeError } from "../../kube/errors.ts";
import { resources } from "../../kube/resources.ts";
import { type Check, type CheckDeps, fail, type Finding, ok, warn } from "./check.ts";
import { inParallel } from "./in_parallel.ts";
import { count, groups, someNames } from "./names.ts";

/** Whether pods can be created in offloaded namespaces and come out with the proxy: a dry run in each, nothing is stored. */
export const trialPods: Check = {
  id: "trial-pods",
  title: "a pod on trial in each offloaded namespace",
  where: "installed",
  async *run(deps) {
    const offloaded = (await deps.survey.offloaded()).filter(({ terminating }) => !terminating);
    const tried = await inParallel(
      offloaded,
      async (policy) => ({ name: policy.name, found: await attempt(policy, deps) }),
    );
    for (const [, all] of groups(tried, ({ found }) => JSON.stringify(found))) {
      const { found } = all[0]!;
      if (found === undefined) continue;
      const where = `${count(all.length, "namespace")} (${someNames(all.map(({ name }) => name))})`;
      yield { ...found, message: `${found.message}, in ${where}` };
    }
  },
};

/** What a trial in one namespace shows; undefined: the namespace is going. */
async function attempt(policy: NamespacePolicy, { client }: CheckDeps): Promise<Finding | undefined> {
  try {
    const pod = await client.create(resources.Pod, trialPod(policy.name), { dryRun: true });
    if (!policy.proxy) return ok("A pod is created as it is, since the namespace opts out of the proxy");
    return isInjected(pod)
      ? ok("A pod is created and gets the proxy")
      : fail("A pod is created, but without the proxy", "see what is said about the webhook above");
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    return refusal(error);
  }
}

/** Small, but with all that a quota or limit range may ask for: what is refused is then not the trial pod's fault. */
function trialPod(namespace: string): Pod {
  const size = { cpu: "10m", memory: "16Mi", "ephemeral-storage": "1Mi" };
  return {
    metadata: { namespace, generateName: "data-spacer-check-" },
    spec: {
      automountServiceAccountToken: false,
      containers: [{ name: "check", image: "registry.k8s.io/pause:3.10", resources: { requests: size, limits: size } }],
    },
  };
}

/** Causes that can be told by the API server's message, and what to do about each. Sources: Kubernetes 1.30 to 1.37, its admission plugins. */
const CAUSES: readonly { pattern: RegExp; cause(match: RegExpExecArray): Finding }[] = [
  {
    pattern: /violates PodSecurity "([^"]+)"/,
    cause: ([, level]) =>
      fail(`Pod Security "${level}" refuses our init container`, reasons.PodSecurityRefusesInjection.remedy),
  },
  {
    pattern: /exceeded quota: ([^,]+), (.*)/,
    cause: ([, name, numbers]) =>
      fail(`ResourceQuota "${name}" is used up (${numbers})`, "raise it, or end what uses it"),
  },
  {
    pattern: /failed quota: ([^:]+): (must specify .*)/,
    cause: ([, name, what]) =>
      fail(
        `ResourceQuota "${name}" asks of each container what the proxy does not have (${what})`,
        "give it a default by a LimitRange",
      ),
  },
  {
    pattern: /((?:minimum|maximum) \S+ usage per (?:Container|Pod) is .*|\S+ max limit to request ratio per .*)/,
    cause: ([, what]) =>
      fail(
        `A LimitRange refuses the pod (${what})`,
        "leave room for the proxy, or change --init-resources and --proxy-resources",
      ),
  },
  {
    pattern: /failed calling webhook "([^"]+)": (.*)/,
    cause: ([, name, why]) =>
      fail(`Webhook "${name}" does not answer (${why})`, "see what is said about it and its certificates above"),
  },
  {
    pattern: /admission webhook "([^"]+)" denied the request: (.*)/,
    cause: ([, name, why]) =>
      fail(
        `Webhook "${name}" refuses the pod (${why})`,
        "ask whoever runs that webhook; ours says itself what would be right",
      ),
  },
  {
    pattern: /error looking up service account|serviceaccount "default" not found/,
    cause: () => warn("The ServiceAccount of pods is not there yet", "try again in a moment"),
  },
];

function refusal(error: KubeError): Finding | undefined {
  if (error.details?.causes?.some(({ reason }) => reason === "NamespaceTerminating")) return undefined;
  const state = error.message.replace(/^Cannot create [^:]*: /, "").replace(/^pods "[^"]*" is /, "");
  if (/cannot create resource "pods"/.test(state)) {
    return warn("Cannot tell: you may not create pods", "run this as somebody who may");
  }
  for (const { pattern, cause } of CAUSES) {
    const match = pattern.exec(state);
    if (match !== null) return cause(match);
  }
  return fail(`A pod is refused (${state})`);
}
