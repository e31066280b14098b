import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { CONTAINER_FIELDS, isOurs } from "../injected.ts";

/** A container of the consumer, and where in the pod it stands as the consumer wrote it. */
export interface Located {
  container: Container;
  /** Like `spec.initContainers[0]`; our own containers are not counted. */
  field: string;
}

/** The consumer's containers of all kinds. */
export function locatedContainers(pod: Pod): Located[] {
  const located: Located[] = [];
  for (const kind of CONTAINER_FIELDS) {
    let index = 0;
    for (const container of (pod.spec?.[kind] ?? []) as Container[]) {
      if (!isOurs(container)) located.push({ container, field: `spec.${kind}[${index++}]` });
    }
  }
  return located;
}
