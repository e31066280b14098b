import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { listAt, valueAt } from "./rules/rule.ts";
import { CONTAINER_FIELDS } from "./tenant_containers.ts";

/** How much of a pod is looked at: admission must not stand still for one. No honest pod comes near. */
const MAX_CONTAINERS = 200;
const MAX_ITEMS = 5_000;

/** Lists of a container that rules walk through. */
const LISTS = ["ports", "volumeMounts", "volumeDevices", "restartPolicyRules"] as const;

/** What is too large in a pod, and what would be right; undefined: nothing. */
export function oversize(pod: Pod): { field: string; message: string } | undefined {
  const { spec, metadata } = pod;
  let items = length(spec?.volumes) + length(spec?.securityContext?.supplementalGroups) + keys(metadata?.annotations) +
    keys(metadata?.labels) + resources(spec);
  for (const volume of spec?.volumes ?? []) items += listAt(volume, SOURCES).length;
  for (const field of CONTAINER_FIELDS) {
    const containers = (spec?.[field] ?? []) as Container[];
    if (containers.length > MAX_CONTAINERS) {
      return { field: `spec.${field}`, message: `must be at most ${MAX_CONTAINERS} containers` };
    }
    for (const container of containers) {
      items += resources(container);
      for (const list of LISTS) items += length((container as unknown as Record<string, unknown>)[list]);
    }
  }
  if (items <= MAX_ITEMS) return undefined;
  const message =
    "must be smaller: labels, annotations, volumes and their sources, groups, resources, and the containers' ports and " +
    `mounts are ${items}, and may be ${MAX_ITEMS} in all`;
  return { field: "spec", message };
}

const SOURCES = ["projected", "sources"];
const REQUESTS = ["resources", "requests"];
const LIMITS = ["resources", "limits"];

/** Resources of a container or of the pod as a whole. */
function resources(of: unknown): number {
  return keys(valueAt(of, REQUESTS)) + keys(valueAt(of, LIMITS));
}

function keys(map: unknown): number {
  return Object.keys(map ?? {}).length;
}

function length(list: unknown): number {
  return Array.isArray(list) ? list.length : 0;
}
