import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { type TenantContainer, tenantContainers } from "./tenant_containers.ts";

/** User and group ids that a pod names, those of our own containers left out. */
export function usedIds(pod: Pod, containers: readonly TenantContainer[] = tenantContainers(pod)): Set<number> {
  const ids = new Set<number>();
  const add = (id: unknown) => typeof id === "number" && ids.add(id);
  const own = pod.spec?.securityContext;
  add(own?.runAsUser);
  add(own?.runAsGroup);
  add(own?.fsGroup);
  for (const group of own?.supplementalGroups ?? []) add(group);
  for (const { container } of containers) {
    add(container.securityContext?.runAsUser);
    add(container.securityContext?.runAsGroup);
  }
  return ids;
}

/** The proxy's uid: the first of the range that nothing in the pod uses; undefined if all are used. A pure function of the spec. */
export function chooseProxyUid(pod: Pod, range: { first: number; last: number }): number | undefined {
  const used = usedIds(pod);
  for (let uid = range.first; uid <= range.last; uid++) if (!used.has(uid)) return uid;
  return undefined;
}
