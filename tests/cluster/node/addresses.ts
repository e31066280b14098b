/** How many nodes may run on one machine at once. */
export const NUMBERS = 12;

/** Names and addresses of one node. They follow from its number, so that two nodes have none in common. */
export interface Addresses {
  /** Name of the node, of its link on the host and of its cgroup. */
  name: string;
  /** The node. */
  node: Pair;
  /** The host's end of the link between them. */
  host: Pair;
  /** Prefix lengths of the link's two networks. */
  linkPrefix: { v4: number; v6: number };
  /** Range of the Pods' addresses. */
  pods: Pair;
  /** Range of ClusterIPs. */
  services: Pair;
  /** ClusterIPs of the API server. */
  kubernetes: Pair;
  /** ClusterIP of the cluster's DNS. */
  dns: string;
  /** URL of the API server, from the host, the node and its Pods. */
  server: string;
}

/** One of each family. */
export interface Pair {
  /** IPv4. */
  v4: string;
  /** IPv6. */
  v6: string;
}

/** @throws {RangeError} where the number is not from 1 to {@linkcode NUMBERS}. */
export function addressesOf(number: number): Addresses {
  if (!Number.isInteger(number) || number < 1 || number > NUMBERS) {
    throw new RangeError(`Cannot name a node: its number is ${number}, not 1 to ${NUMBERS}`);
  }
  const [pods, services] = [243 + number, 95 + number];
  const node = { v4: `10.200.${number}.1`, v6: `fd00:200:${number}::1` };
  return {
    name: `dsnode${number}`,
    node,
    host: { v4: `10.200.${number}.254`, v6: `fd00:200:${number}::fe` },
    linkPrefix: { v4: 24, v6: 64 },
    pods: { v4: `10.${pods}.0.0/16`, v6: `fd00:${pods}::/56` },
    services: { v4: `10.${services}.0.0/16`, v6: `fd00:${services}::/112` },
    kubernetes: { v4: `10.${services}.0.1`, v6: `fd00:${services}::1` },
    dns: `10.${services}.0.10`,
    server: `https://${node.v4}:6443`,
  };
}

/** Both of a pair, in a list as Kubernetes' flags want it: IPv4 first. */
export function both({ v4, v6 }: Pair): string {
  return `${v4},${v6}`;
}
