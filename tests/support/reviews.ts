import type { Pod } from "kubernetes-types/core/v1.d.ts";

/** An AdmissionReview as the API server sends it for a pod that Liqo creates. */
export function testReview(pod: Pod, request: object = {}): object {
  return {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      requestKind: { group: "", version: "v1", kind: "Pod" },
      requestResource: { group: "", version: "v1", resource: "pods" },
      name: pod.metadata?.name,
      namespace: "trial-pharma",
      operation: "CREATE",
      userInfo: {
        username: "system:serviceaccount:liqo:liqo-controller-manager",
        uid: "b7a4a6f2-1a4c-4a38-a1a2-6a3f1a8e3f60",
        groups: ["system:serviceaccounts", "system:serviceaccounts:liqo", "system:authenticated"],
      },
      object: pod,
      oldObject: null,
      dryRun: false,
      options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1", fieldManager: "shadow-pod" },
      ...request,
    },
  };
}

/** The body of a request to the webhook. */
export function bodyOf(review: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(review));
}
