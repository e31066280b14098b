import { containerRule, type Rule } from "./rule.ts";

/** Containers that Istio, Linkerd and Kuma add. Two meshes in one pod would each redirect the other. */
const MESH_CONTAINERS: readonly unknown[] = [
  "istio-init",
  "istio-proxy",
  "istio-validation",
  "linkerd-init",
  "linkerd-proxy",
  "kuma-init",
  "kuma-sidecar",
];

/** Comes before other rules: what a mesh brings contradicts more of them. */
export const noMesh: Rule = containerRule({
  id: "mesh",
  row: "Istio inside",
  field: "name",
  right: (name) => !MESH_CONTAINERS.includes(name),
  must: "must not be a service mesh's: leave the pod out of the mesh, in Istio by the label " +
    'sidecar.istio.io/inject: "false"',
});
