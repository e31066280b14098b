import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { injectedNames } from "./names.ts";

/** Kinds of containers of a pod, as fields of its spec. */
export const CONTAINER_FIELDS = ["initContainers", "containers", "ephemeralContainers"] as const;

/** An element of `CONTAINER_FIELDS`. */
export type ContainerField = (typeof CONTAINER_FIELDS)[number];

/** How many of the init containers of an injected pod are ours. */
export const OUR_CONTAINERS = 2;

/** A container of the consumer, and where in the pod it stands. */
export interface TenantContainer {
  container: Container;
  kind: ContainerField;
  /** Index in the pod as it is. */
  index: number;
  /** Index as the consumer wrote it: without ours. */
  ownIndex: number;
}

/** Whether a pod carries our two containers where they belong; says nothing about how they are made. */
export function isInjected(pod: Pod): boolean {
  const [first, second] = pod.spec?.initContainers ?? [];
  return first?.name === injectedNames.init && second?.name === injectedNames.proxy;
}

/**
 * The consumer's containers of all kinds: all but our two at the head of an injected pod. A container that has one of our names anywhere else
 * is the consumer's too.
 */
export function tenantContainers(pod: Pod): TenantContainer[] {
  const ours = isInjected(pod) ? OUR_CONTAINERS : 0;
  const all: TenantContainer[] = [];
  for (const kind of CONTAINER_FIELDS) {
    const list = (pod.spec?.[kind] ?? []) as Container[];
    const skipped = kind === "initContainers" ? ours : 0;
    for (let index = skipped; index < list.length; index++) {
      all.push({ container: list[index]!, kind, index, ownIndex: index - skipped });
    }
  }
  return all;
}

/** Path of a consumer's container as the consumer knows it, like `spec.initContainers[0]`. */
export function pathOf({ kind, ownIndex }: TenantContainer): string {
  return `spec.${kind}[${ownIndex}]`;
}
