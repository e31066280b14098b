import type { DaemonSet } from "kubernetes-types/apps/v1.d.ts";
import { resources } from "../../kube/resources.ts";
import { type Check, type CheckDeps, fail, type Finding, ok, warn } from "./check.ts";
import { type Engine, engines } from "./engines.ts";
import { collect } from "./survey.ts";

const CANNOT_TELL = "Cannot tell whether anything enforces NetworkPolicy here";
const TRY =
  "try it: a pod in an offloaded namespace must not reach a pod of a namespace without data-space/netpol-allow";

/** Whether anything enforces NetworkPolicy: no API says so, hence by the engines that we know. */
export const networkEngine: Check = {
  id: "network-policy",
  title: "what enforces NetworkPolicy",
  where: "always",
  async *run(deps) {
    const found = await collect(deps.client, resources.DaemonSet, {}, (daemonSet) => {
      const engine = engines.find(({ daemonSets }) => daemonSets.includes(daemonSet.metadata?.name ?? ""));
      return engine === undefined ? undefined : { engine, daemonSet };
    });
    const enforcing = found.filter(({ engine, daemonSet }) => engine.enforces(daemonSet) === "yes");
    // One that enforces is enough: Flannel with Calico's policies, for example.
    for (const { engine, daemonSet } of enforcing) yield* describe(engine, daemonSet);
    if (enforcing.length > 0) return;
    if (found.length === 0) yield await byTraces(deps);
    for (const { engine, daemonSet } of found) {
      const what = `${engine.name} (${nameOf(daemonSet)})`;
      yield engine.enforces(daemonSet) === "no"
        ? fail(`Nothing enforces NetworkPolicy: ${what} does not, as it is set up`, engine.remedy)
        : warn(`${CANNOT_TELL}: ${what} may or may not`, engine.remedy ?? TRY);
    }
  },
};

function* describe(engine: Engine, daemonSet: DaemonSet): Iterable<Finding> {
  const { numberReady = 0, desiredNumberScheduled = 0 } = daemonSet.status ?? {};
  const state = `${engine.name} (${
    nameOf(daemonSet)
  }) enforces NetworkPolicy, ready on ${numberReady} of ${desiredNumberScheduled} nodes`;
  yield numberReady < desiredNumberScheduled
    ? warn(state, `kubectl -n ${daemonSet.metadata?.namespace} get pods -o wide`)
    : ok(state);
}

/** Engines that run outside of pods leave traces at best. */
async function byTraces({ survey }: CheckDeps): Promise<Finding> {
  const nodes = await survey.nodes();
  const groups = await survey.apiGroups();
  if (nodes.some(({ kubelet }) => kubelet.includes("+k3s"))) {
    return warn(
      `${CANNOT_TELL}: k3s does it itself, unless it was started with --disable-network-policy`,
      TRY,
    );
  }
  const traces = engines.flatMap(({ name, apiGroups, annotations }) => {
    const group = apiGroups.find((group) => groups.includes(group));
    const annotated = nodes.find((node) => node.annotations.some((key) => annotations.some((a) => key.startsWith(a))));
    if (group !== undefined) return [`${name} (custom resources of ${group})`];
    return annotated === undefined ? [] : [`${name} (annotations of node ${annotated.name})`];
  });
  const seen = traces.length > 0
    ? `there is no DaemonSet that we know, only traces of ${traces.join(" and ")}`
    : "no engine that we know runs";
  return warn(`${CANNOT_TELL}: ${seen}`, TRY);
}

function nameOf({ metadata }: DaemonSet): string {
  return `DaemonSet ${metadata?.namespace}/${metadata?.name}`;
}
