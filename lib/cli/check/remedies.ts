import { PRODUCT } from "../../core/names.ts";

/** Puts back what an installation consists of. */
export const reapply = "kubectl apply -k deploy/base";

/** Shows why replicas do not do what they should. */
export function logs(namespace: string): string {
  return `kubectl -n ${namespace} logs deployment/${PRODUCT}`;
}
