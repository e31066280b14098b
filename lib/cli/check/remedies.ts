import { PRODUCT } from "../../core/names.ts";

/** Puts back what an installation consists of. An overlay has its own images, which the base alone would replace. */
export const reapply = "kubectl apply -k deploy/base (or your overlay)";

/** Shows why replicas do not do what they should. */
export function logs(namespace: string): string {
  return `kubectl -n ${namespace} logs deployment/${PRODUCT}`;
}
