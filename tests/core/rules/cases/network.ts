import { testContainer, testPod } from "../../../support/pods.ts";
import { annotated, C, type Case, fails, passes } from "./case.ts";

const MESH = "must not be a service mesh's";

/** Of rules/network.ts. */
export const network: Case[] = [
  ...[
    "k8s.v1.cni.cncf.io/networks",
    "k8s.v1.cni.cncf.io/anything",
    "v1.multus-cni.io/default-network",
    "cni.projectcalico.org/ipAddrsNoIpam",
    "cni.projectcalico.org/allowedSourcePrefixes",
    "ipam.cilium.io/ip-pool",
    "ovn.kubernetes.io/ip_address",
    "k8s.ovn.org/routing-namespaces",
    "networking.gke.io/interfaces",
    // what plugins write too, but not before a pod is created
    "vpc.amazonaws.com/pod-eni",
    "k8s.ovn.org/pod-networks",
    "ovn.kubernetes.io/allocated",
    "ovn.kubernetes.io/vpc",
    "macvlan.default.kubernetes.io/ip_address",
    "storage.default.ovn.kubernetes.io/logical_switch",
    "storage.default.ovn.kubernetes.io/vip",
  ].map((key) => fails(key, annotated({ [key]: "x" }), `metadata.annotations[${key}]: must be left out`)),
  passes(
    "what plugins report",
    annotated({
      "k8s.v1.cni.cncf.io/network-status": "[]",
      "k8s.v1.cni.cncf.io/networks-status": "[]",
      "cni.projectcalico.org/podIP": "10.0.0.1/32",
      "cni.projectcalico.org/containerID": "x",
      "vpc.amazonaws.com/pod-ips": "10.0.0.1",
      "sidecar.istio.io/inject": "false",
    }),
  ),
  passes(
    "keys that look like those of Kube-OVN",
    annotated({
      "ovn.kubernetes.io/ingress_rate": "3",
      "ip_address": "x",
      "example.com/ip_address": "x",
      "kubernetes.io/vip": "x",
      "app.kubernetes.io/vpc": "x",
      "notovn.kubernetes.io/vpc": "x",
      "kubernetes.io/config.source": "api",
    }),
  ),
  ...["Default", "None", "ClusterFirstWithHostNet"].map((dnsPolicy) =>
    fails(`DNS policy ${dnsPolicy}`, testPod({ dnsPolicy }), "spec.dnsPolicy: must be ClusterFirst")
  ),
  passes(
    "DNS of the cluster",
    testPod({
      dnsPolicy: "ClusterFirst",
      dnsConfig: { searches: ["a.b"], options: [{ name: "ndots" }], nameservers: [] },
    }),
  ),
  fails(
    "name servers",
    testPod({ dnsConfig: { nameservers: ["192.0.2.53"] } }),
    "spec.dnsConfig.nameservers: must be left out",
  ),
  passes("host aliases", testPod({ hostAliases: [{ ip: "10.81.0.3", hostnames: ["kubernetes.default"] }] })),
  ...[15801, 15806, 15821, 15890].map((containerPort) =>
    fails(
      `port ${containerPort}`,
      testPod({}, { ports: [{ containerPort }] }),
      `${C}.ports[0].containerPort: must be another port than`,
    )
  ),
  passes("other ports", testPod({}, { ports: [{ containerPort: 15802 }, { containerPort: 53, protocol: "UDP" }] })),
  fails(
    "Istio inside",
    testPod({
      initContainers: [testContainer({ name: "istio-init" })],
      containers: [testContainer({ name: "istio-proxy" })],
    }),
    `spec.initContainers[0].name: ${MESH}`,
    `${C}.name: ${MESH}`,
  ),
  passes("a name that JavaScript gives a meaning", testPod({}, { name: "constructor" })),
];
