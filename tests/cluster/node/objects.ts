import type { Addresses } from "./addresses.ts";
import { IMAGES } from "./base_images.ts";
import { KUBELET_CLIENT } from "./configuration.ts";

/** An object and the collection that it is to be created in. */
export type Creation = [path: string, object: Record<string, unknown>];

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const CALICO = "/apis/crd.projectcalico.org/v1";
const SYSTEM = "namespaces/kube-system";

/** Where CustomResourceDefinitions are created. */
export const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** Lets the API server ask the kubelet for logs, exec and port-forward. */
export function kubeletAccess(): Creation[] {
  return [[`${RBAC}/clusterrolebindings`, {
    metadata: { name: "kubelet-api" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:kubelet-api-admin" },
    subjects: [{ kind: "User", name: KUBELET_CLIENT }],
  }]];
}

/** Without the first, Calico does nothing; without the others, what Pods send out of the node keeps their addresses. */
export function calicoObjects({ name, pods }: Addresses): Creation[] {
  const pool = (family: string, cidr: string): Creation => [`${CALICO}/ippools`, {
    apiVersion: "crd.projectcalico.org/v1",
    kind: "IPPool",
    metadata: { name: family },
    spec: { cidr, natOutgoing: true, ipipMode: "Never", vxlanMode: "Never", nodeSelector: "all()" },
  }];
  const information: Creation = [`${CALICO}/clusterinformations`, {
    apiVersion: "crd.projectcalico.org/v1",
    kind: "ClusterInformation",
    metadata: { name: "default" },
    spec: { datastoreReady: true, clusterGUID: name, clusterType: "k8s", calicoVersion: "v3.28" },
  }];
  return [information, pool("v4", pods.v4), pool("v6", pods.v6)];
}

/** The cluster's DNS: CoreDNS behind the Service kube-dns. */
export function dnsObjects({ dns }: Addresses): Creation[] {
  const name = "system:coredns";
  const labels = { "k8s-app": "kube-dns" };
  const meta = { name: "coredns", namespace: "kube-system" };
  const ports = [{ name: "dns", port: 53, protocol: "UDP" }, { name: "dns-tcp", port: 53, protocol: "TCP" }];
  const read = (apiGroups: string[], resources: string[]) => ({ apiGroups, resources, verbs: ["list", "watch"] });
  return [
    [`/api/v1/${SYSTEM}/serviceaccounts`, { metadata: meta }],
    [`${RBAC}/clusterroles`, {
      metadata: { name },
      rules: [
        read([""], ["endpoints", "services", "pods", "namespaces"]),
        read(["discovery.k8s.io"], ["endpointslices"]),
      ],
    }],
    [`${RBAC}/clusterrolebindings`, {
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ kind: "ServiceAccount", ...meta }],
    }],
    [`/api/v1/${SYSTEM}/configmaps`, { metadata: meta, data: { Corefile: COREFILE } }],
    [`/api/v1/${SYSTEM}/services`, {
      metadata: { name: "kube-dns", namespace: "kube-system" },
      spec: { clusterIP: dns, selector: labels, ports },
    }],
    [`/apis/apps/v1/${SYSTEM}/deployments`, {
      metadata: meta,
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: dnsPod(ports) },
      },
    }],
  ];
}

const COREFILE = `.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    cache 5
    loadbalance
}
`;

function dnsPod(ports: { name: string; port: number; protocol: string }[]): Record<string, unknown> {
  return {
    serviceAccountName: "coredns",
    dnsPolicy: "Default",
    containers: [{
      name: "coredns",
      image: IMAGES.coredns,
      imagePullPolicy: "Never",
      args: ["-conf", "/etc/coredns/Corefile"],
      ports: ports.map(({ port, ...rest }) => ({ containerPort: port, ...rest })),
      readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
      securityContext: {
        allowPrivilegeEscalation: false,
        capabilities: { add: ["NET_BIND_SERVICE"], drop: ["ALL"] },
        readOnlyRootFilesystem: true,
      },
      volumeMounts: [{ name: "config", mountPath: "/etc/coredns", readOnly: true }],
    }],
    volumes: [{ name: "config", configMap: { name: "coredns" } }],
  };
}
