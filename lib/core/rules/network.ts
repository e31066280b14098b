import { ports } from "../names.ts";
import { isInterfaceRequest } from "./interface_annotations.ts";
import { containerRule, emptyOrAbsent, itemRule, oneOf, podRule, type Rule } from "./rule.ts";

const RESERVED_PORTS: readonly number[] = Object.values(ports);

/** Containers that meshes add: two meshes in one pod would each redirect the other. */
const MESHES: Readonly<Record<string, string>> = {
  "istio-init": "Istio",
  "istio-proxy": "Istio",
  "istio-validation": "Istio",
  "linkerd-init": "Linkerd",
  "linkerd-proxy": "Linkerd",
  "kuma-init": "Kuma",
  "kuma-sidecar": "Kuma",
};

const noMoreInterfaces: Rule = {
  id: "interfaces",
  row: "more interfaces",
  relaxedBy: [],
  check: (pod) =>
    Object.keys(pod.metadata?.annotations ?? {}).filter(isInterfaceRequest).map((key) => ({
      field: `metadata.annotations[${key.slice(0, 100)}]`,
      message: "must be left out: the pod's interfaces and addresses are the provider's to give",
    })),
};

/** The pod has one interface, the provider's name servers, and its own ports. */
export const networkRules: readonly Rule[] = [
  noMoreInterfaces,
  podRule({
    id: "dns",
    row: "DNS to an unlisted server",
    field: "spec.dnsPolicy",
    right: oneOf("", "ClusterFirst"),
    must: "must be ClusterFirst or left out",
  }),
  podRule({
    id: "dns",
    row: "DNS to an unlisted server",
    field: "spec.dnsConfig.nameservers",
    right: emptyOrAbsent,
    must: "must be left out: names are resolved by the provider's cluster; searches and options may stay",
  }),
  itemRule({
    id: "reserved-ports",
    row: "name prefix, volumes, capture and health ports",
    list: "ports",
    field: "containerPort",
    right: (port) => !RESERVED_PORTS.includes(Number(port)),
    must: `must be another port than ${RESERVED_PORTS.join(", ")}, which the provider uses`,
  }),
  containerRule({
    id: "mesh",
    row: "Istio inside",
    field: "name",
    right: (name) => !Object.hasOwn(MESHES, String(name)),
    must: "must not be a service mesh's: leave the pod out of the mesh, in Istio by the label " +
      'sidecar.istio.io/inject: "false"',
  }),
];
