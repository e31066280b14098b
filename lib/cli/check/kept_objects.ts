import {
  type ObjectTemplates,
  objectTemplates,
  type Owned,
  ownedFacts,
  type OwnedKind,
  ownedNames,
  plan,
  type PlanStep,
} from "../../core/desired_state.ts";
import { objects as names } from "../../core/names.ts";
import { ownedResources } from "../../state/owned_resources.ts";
import { type Check, type CheckDeps, fail, type Finding, ok, warn } from "./check.ts";
import { count, groups, someNames } from "./names.ts";
import { logs } from "./remedies.ts";
import { collect } from "./survey.ts";

/** What a step that the controller would have to take says about an object, and what to do. */
const STATES: Readonly<Record<PlanStep["because"], { level: "warn" | "fail"; state: string; remedy?: string }>> = {
  absent: { level: "fail", state: "is missing" },
  foreign: { level: "fail", state: "was not made by us" },
  drift: { level: "fail", state: "was changed by somebody else" },
  outdated: { level: "warn", state: "is as the version before made it" },
  "opted-out": { level: "warn", state: "is left over where the namespace opts out" },
  "not-offloaded": { level: "warn", state: "is left over where the namespace is not offloaded any more" },
};

/** Whether the controller has nothing to do: by the plan that it makes itself. */
export const keptObjects: Check = {
  id: "objects",
  title: "our objects in offloaded namespaces",
  where: "installed",
  async *run(deps) {
    const { survey, settings: { namespace }, version } = deps;
    const templates = await survey.templates();
    const offloaded = await survey.offloaded();
    const ours = objectTemplates(await survey.settings().catch(() => deps.settings));
    const [current, ...earlier] = templates;
    if (current === undefined) {
      yield fail(
        `No replica has said what it injects (ConfigMap "${namespace}/${names.contract}" is missing or empty)`,
        logs(namespace),
      );
    } else if (current.objects.ConfigMap !== ours.ConfigMap.digest) {
      yield warn(
        `The running replicas configure Envoy in another way than this command, version ${version}, would`,
        "use the command of the version that runs",
      );
    }
    const wanted = current === undefined ? ours : withDigests(ours, current.objects);
    const owned = [...await list("ConfigMap", deps), ...await list("NetworkPolicy", deps)];
    const byNamespace = Map.groupBy(owned, (object) => object.namespace);
    const policies = new Map(offloaded.map((policy) => [policy.name, policy]));
    const before = earlier.flatMap(({ objects }) => [objects.ConfigMap, objects.NetworkPolicy]);
    const steps = [...new Set([...policies.keys(), ...byNamespace.keys()])].flatMap((name) =>
      plan(policies.get(name), byNamespace.get(name) ?? [], wanted, before)
    );
    if (steps.length === 0) {
      yield ok(
        `${count(owned.length, "object")} in ${count(offloaded.length, "offloaded namespace")}: each as it should be`,
      );
    }
    yield* byState(steps, namespace);
  },
};

function* byState(steps: PlanStep[], ownNamespace: string): Iterable<Finding> {
  const all = steps.map((step) =>
    step.do === "apply"
      ? { because: step.because, kind: step.desired.kind, namespace: step.desired.namespace }
      : { because: step.because, kind: step.owned.kind, namespace: step.owned.namespace }
  );
  for (const [, same] of groups(all, ({ because, kind }) => `${because} ${kind}`)) {
    const { because, kind } = same[0]!;
    const { level, state } = STATES[because];
    const where = `${count(same.length, "namespace")}: ${someNames(same.map(({ namespace }) => namespace))}`;
    const message = `${kind} "${ownedNames[kind]}" ${state} in ${where}`;
    yield (level === "fail" ? fail : warn)(
      message,
      `the leader sees to it within seconds; if not, ${logs(ownNamespace)}`,
    );
  }
}

function list(kind: OwnedKind, { client }: CheckDeps): Promise<Owned[]> {
  const fieldSelector = `metadata.name=${ownedNames[kind]}`;
  return collect(client, ownedResources[kind], { fieldSelector }, (object) => ownedFacts(kind, object));
}

function withDigests(templates: ObjectTemplates, digests: Readonly<Record<OwnedKind, string>>): ObjectTemplates {
  return {
    ConfigMap: { ...templates.ConfigMap, digest: digests.ConfigMap },
    NetworkPolicy: { ...templates.NetworkPolicy, digest: digests.NetworkPolicy },
  };
}
