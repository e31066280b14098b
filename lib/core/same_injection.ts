import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { PROBES_VARIABLE } from "./envoy/probes.ts";
import type { PodValues } from "./injected.ts";
import type { PreparedTemplate } from "./injection.ts";
import { equalQuantities } from "./quantity.ts";

/** Where the API server mounts the token of a pod's ServiceAccount, unasked (admission plugin ServiceAccount). */
export const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

type Tolerance = (value: unknown) => boolean;

const oneOf = (...values: string[]): Tolerance => (value) => values.includes(value as string);

/**
 * Fields that the API server or its plugins fill in, and the values that they give them: defaults, and the plugin AlwaysPullImages. Another value
 * would matter: the kubelet mounts a file where the termination message goes, and `Never` runs whatever image the node has.
 */
const FILLED_IN: ReadonlyMap<string, Tolerance> = new Map([
  ["imagePullPolicy", oneOf("IfNotPresent", "Always")],
  ["terminationMessagePath", oneOf("/dev/termination-log")],
  ["terminationMessagePolicy", oneOf("File")],
  ["resizePolicy", (value) => Array.isArray(value) && value.every((item) => item?.restartPolicy === "NotRequired")],
]);

/** Resources that a LimitRange may add to ours. */
const ADDED_RESOURCES: readonly string[] = ["ephemeral-storage"];

/** The first field in which a pod's copies of our containers and volumes differ from a template; undefined: none. */
export function injectionDifference(pod: Pod, template: PreparedTemplate, values: PodValues): string | undefined {
  for (const [i, { object: want }] of template.containers(values).entries()) {
    const have = pod.spec?.initContainers?.[i];
    if (have?.name !== want.name) return `spec.initContainers[${i}].name`;
    const field = containerDifference(have, want);
    if (field !== undefined) return `spec.initContainers[${i}].${field}`;
  }
  for (const { object: want } of template.volumes) {
    const i = (pod.spec?.volumes ?? []).findIndex((volume) => volume.name === want.name);
    if (i < 0) return "spec.volumes";
    if (!equal(pod.spec!.volumes![i], want)) return `spec.volumes[${i}]`;
  }
  return undefined;
}

function containerDifference(have: Container, want: Container): string | undefined {
  for (const field of Object.keys({ ...want, ...have }) as (keyof Container)[]) {
    if (!sameField(field, own(have, field), own(want, field))) return field.slice(0, 100);
  }
  return undefined;
}

function sameField(field: keyof Container, have: unknown, want: unknown): boolean {
  if (equal(have, want)) return true;
  switch (field) {
    case "resources":
      return sameResources(have as Container["resources"], want as Container["resources"]);
    case "volumeMounts":
      return equal(withoutToken(have as Container["volumeMounts"]), want);
    case "env":
      return equal(withoutProbes(have as Container["env"]), withoutProbes(want as Container["env"]));
    default:
      return FILLED_IN.get(field)?.(have) ?? false;
  }
}

/** The token mounts are taken off again. */
function withoutToken(mounts: Container["volumeMounts"]): unknown {
  const left = (mounts ?? []).filter((mount) => mount.mountPath !== TOKEN_PATH);
  return left.length === 0 ? undefined : left;
}

/** The pod's probes may have changed on their way past another webhook: that value is set anew, not compared. */
function withoutProbes(env: Container["env"]): unknown {
  return (env ?? []).map((variable) => {
    const { value: _, ...others } = variable;
    return variable.name === PROBES_VARIABLE ? others : variable;
  });
}

function sameResources(have: Container["resources"], want: Container["resources"]): boolean {
  const { requests, limits, ...others } = have ?? {};
  if (Object.values(others).some((value) => value !== null && !(Array.isArray(value) && value.length === 0))) {
    return false;
  }
  return sameQuantities(requests, want?.requests) && sameQuantities(limits, want?.limits);
}

function sameQuantities(have: Record<string, unknown> | undefined, want: Record<string, unknown> = {}): boolean {
  return Object.keys({ ...want, ...have }).every((key) =>
    Object.hasOwn(want, key) ? equalQuantities(own(have, key), want[key]) : ADDED_RESOURCES.includes(key)
  );
}

function own(object: object | null | undefined, key: string): unknown {
  return object && Object.hasOwn(object, key) ? (object as Record<string, unknown>)[key] : undefined;
}

/** Deep equality, as deep as what we want goes; null and absent are the same. */
function equal(have: unknown, want: unknown): boolean {
  if (have === want) return true;
  if (typeof want !== "object" || want === null) return (have ?? undefined) === (want ?? undefined);
  if (typeof have !== "object" || have === null || Array.isArray(have) !== Array.isArray(want)) return false;
  return Object.keys({ ...want, ...have }).every((key) => equal(own(have, key), own(want, key)));
}
