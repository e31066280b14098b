import type { Container, Pod, Volume } from "kubernetes-types/core/v1.d.ts";
import { canonicalJson } from "./digest.ts";
import { fillContainers, type InjectionTemplate, type PodValues } from "./injected.ts";

/** Where the API server mounts the token of a pod's ServiceAccount, unasked (admission plugin ServiceAccount). */
export const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Fields that the API server or its plugins fill in or change without changing what runs: AlwaysPullImages, defaulting, LimitRange.
 * All other fields must be as we made them; `resources` and `volumeMounts` are compared by their own rules.
 */
const TOLERATED = new Set<string>([
  "imagePullPolicy",
  "resizePolicy",
  "terminationMessagePath",
  "terminationMessagePolicy",
]);

/** The first field in which a pod's copies of our containers and volumes differ from a template; undefined: none. */
export function injectionDifference(pod: Pod, template: InjectionTemplate, values: PodValues): string | undefined {
  const expected = JSON.parse(fillContainers(template, values)) as Container[];
  for (const [i, want] of expected.entries()) {
    const have = pod.spec?.initContainers?.[i];
    if (have?.name !== want.name) return `spec.initContainers[${i}].name`;
    const field = containerDifference(have, want);
    if (field !== undefined) return `spec.initContainers[${i}].${field}`;
  }
  for (const want of JSON.parse(template.volumes) as Volume[]) {
    const have = pod.spec?.volumes?.find((volume) => volume.name === want.name);
    if (!same(have, want)) return `spec.volumes[${want.name}]`;
  }
  return undefined;
}

function containerDifference(have: Container, want: Container): string | undefined {
  const fields = new Set([...Object.keys(have), ...Object.keys(want)]) as Set<keyof Container>;
  for (const field of fields) {
    if (TOLERATED.has(field)) continue;
    const equal = field === "resources"
      ? atLeast(have.resources, want.resources)
      : field === "volumeMounts"
      ? same(have.volumeMounts?.filter((mount) => mount.mountPath !== TOKEN_PATH) ?? [], want.volumeMounts ?? [])
      : same(have[field], want[field]);
    if (!equal) return field;
  }
  return undefined;
}

/** A LimitRange adds keys (ephemeral-storage) to requests and limits; ours must stay. */
function atLeast(have: Container["resources"], want: Container["resources"]): boolean {
  if (have?.claims?.length) return false;
  return (["requests", "limits"] as const).every((part) =>
    Object.entries(want?.[part] ?? {}).every(([key, value]) => have?.[part]?.[key] === value)
  );
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson(a ?? null) === canonicalJson(b ?? null);
}
