import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { type TenantContainer, tenantContainers } from "./tenant_containers.ts";

/** First and last of a range of ids. */
interface Range {
  first: number;
  last: number;
}

/** User and group ids of a range that a pod names, those of our own containers left out. */
export function usedIds(
  pod: Pod,
  { first, last }: Range,
  containers: readonly TenantContainer[] = tenantContainers(pod),
): Set<number> {
  const ids = new Set<number>();
  const add = (id: unknown) => {
    if (typeof id === "number" && id >= first && id <= last) ids.add(id);
  };
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
export function chooseProxyUid(pod: Pod, range: Range): number | undefined {
  const used = usedIds(pod, range);
  for (let uid = range.first; uid <= range.last; uid++) if (!used.has(uid)) return uid;
  return undefined;
}
