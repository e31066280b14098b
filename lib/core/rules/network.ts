import { ports } from "../names.ts";
import { isInterfaceRequest } from "./interface_annotations.ts";
import { emptyOrAbsent, itemRule, oneOf, podRule, type Rule } from "./rule.ts";

const RESERVED_PORTS: readonly number[] = Object.values(ports);

const noMoreInterfaces: Rule = {
  id: "interfaces",
  row: "more interfaces",
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
];
