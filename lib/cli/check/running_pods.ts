import { PreparedTemplate } from "../../core/injection.ts";
import type { NamespacePolicy } from "../../core/namespace_policy.ts";
import { reasons } from "../../core/reasons.ts";
import { isInjected } from "../../core/tenant_containers.ts";
import { isRunning, proxyOf } from "../../core/running_pod.ts";
import { resources } from "../../kube/resources.ts";
import { type Check, type CheckDeps, fail, ok, warn } from "./check.ts";
import { inParallel } from "./in_parallel.ts";
import { count, someNames } from "./names.ts";
import { collect } from "./survey.ts";

/** Whether pods run with the proxy, and with the one that new pods would get. */
export const runningPods: Check = {
  id: "pods",
  title: "the proxy in running pods",
  where: "installed",
  async *run(deps) {
    const { survey } = deps;
    const offloaded = (await survey.offloaded()).filter(({ proxy, terminating }) => proxy && !terminating);
    const [newest] = await survey.templates();
    const current = newest === undefined ? undefined : new PreparedTemplate(newest);
    const pods = (await inParallel(offloaded, (policy) => podsOf(policy, current, deps))).flat();
    const names = (state: ReturnType<typeof proxyOf>) =>
      pods.filter((pod) => pod.state === state).map(({ name }) => name);
    const [uninjected, other] = [names("none"), names("other")];
    if (uninjected.length > 0) {
      yield fail(
        `${count(uninjected.length, "pod")} without the proxy: ${someNames(uninjected)}`,
        reasons.PodsUninjected.remedy,
      );
    }
    if (other.length > 0) {
      yield warn(
        `${count(other.length, "pod")} with another proxy than new pods get, most likely an older one: ${
          someNames(other)
        }`,
        "have the consumer recreate them",
      );
    }
    if (pods.length === 0) yield ok("No pod runs in an offloaded namespace");
    else if (uninjected.length + other.length === 0) {
      yield ok(`${count(pods.length, "running pod")}, all with the proxy that new pods get`);
    }
  },
};

/** Pods that run in a namespace, by full name. */
function podsOf(
  policy: NamespacePolicy,
  current: PreparedTemplate | undefined,
  { client }: CheckDeps,
): Promise<{ name: string; state: ReturnType<typeof proxyOf> }[]> {
  return collect(client, resources.Pod, { namespace: policy.name }, (pod) => {
    if (!isRunning(pod)) return undefined;
    const name = `${policy.name}/${pod.metadata?.name}`;
    if (current === undefined) return { name, state: isInjected(pod) ? "ours" : "none" };
    return { name, state: proxyOf(pod, policy, { current, accepted: [] }) };
  });
}
