/**
 * Annotations by which a pod asks a network plugin for an interface, an address or a pool of addresses. Keys by which plugins report what they
 * gave (`k8s.v1.cni.cncf.io/network-status`, `cni.projectcalico.org/podIP`, …) are not among them. Sources: the plugins' documentation.
 */
export const interfaceAnnotations: readonly string[] = [
  // Multus and what follows its convention (OVN-Kubernetes, SR-IOV, Spiderpool, CNI-Genie's successor)
  "k8s.v1.cni.cncf.io/networks",
  "k8s.v1.cni.cncf.io/resourceName",
  "v1.multus-cni.io/default-network",
  // Calico, and its VPP data plane
  "cni.projectcalico.org/ipAddrs",
  "cni.projectcalico.org/ipAddrsNoIpam",
  "cni.projectcalico.org/ipv4pools",
  "cni.projectcalico.org/ipv6pools",
  "cni.projectcalico.org/floatingIPs",
  "cni.projectcalico.org/hwAddr",
  "cni.projectcalico.org/allowedSourcePrefixes",
  "cni.projectcalico.org/AllowedSourcePrefixes",
  "cni.projectcalico.org/vppExtraMemifPorts",
  "cni.projectcalico.org/vppExtraMemifSpec",
  "cni.projectcalico.org/vppInterfacesSpec",
  "cni.projectcalico.org/vppVcl",
  // Cilium
  "ipam.cilium.io/ip-pool",
  "ipam.cilium.io/ipv4-pool",
  "ipam.cilium.io/ipv6-pool",
  "cni.cilium.io/mac-address",
  "config.cilium.io/disable-source-ip-verification",
  "network.cilium.io/fib-table-id",
  "network.v1alpha1.isovalent.com/pod-networks",
  // OVN-Kubernetes: makes the pod a gateway of other namespaces, or takes an address over
  "k8s.ovn.org/routing-namespaces",
  "k8s.ovn.org/routing-network",
  "k8s.ovn.org/primary-udn-ipamclaim",
  // Antrea
  "ipam.antrea.io/ippools",
  "ipam.antrea.io/pod-ips",
  // Spiderpool
  "ipam.spidernet.io/ippool",
  "ipam.spidernet.io/ippools",
  "ipam.spidernet.io/subnet",
  "ipam.spidernet.io/subnets",
  "ipam.spidernet.io/routes",
  "ipam.spidernet.io/default-route-nic",
  "ipam.spidernet.io/ippool-ip-number",
  "cni.spidernet.io/rdma-resource-inject",
  "cni.spidernet.io/network-resource-inject",
  // GKE
  "networking.gke.io/default-interface",
  "networking.gke.io/interfaces",
  // Terway (Alibaba), Tencent
  "k8s.aliyun.com/pod-eni",
  "k8s.aliyun.com/pod-networks-request",
  "tke.cloud.tencent.com/networks",
  // KubeVirt
  "network.kubevirt.io/addresses",
  // DANM, CNI-Genie, Network Service Mesh
  "danm.k8s.io/interfaces",
  "cni",
  "networkservicemesh.io",
];

/**
 * Annotations that ask as well, and that the plugin itself writes on pods, for its own parts to read. Of these a pod may have none at its
 * creation; later they come from the plugin alone.
 */
export const pluginAnnotations: readonly string[] = [
  // Amazon VPC: the interface itself
  "vpc.amazonaws.com/pod-eni",
  // OVN-Kubernetes: interfaces and addresses
  "k8s.ovn.org/pod-networks",
  "k8s.ovn.org/dpu.connection-details",
  // Terway
  "k8s.aliyun.com/pod-networks",
  "k8s.aliyun.com/pod-networking",
];

/** Kube-OVN's, which asks and reports by the same keys: names behind `<provider>.kubernetes.io/`, where the provider may be any network's. */
export const kubeOvnNames: readonly string[] = [
  "allocated",
  "routed",
  "routes",
  "mac_address",
  "ip_address",
  "ip_pool",
  "cidr",
  "gateway",
  "logical_switch",
  "logical_router",
  "vlan_id",
  "default_route",
  "port_security",
  "port_vips",
  "layer2_forward",
  "security_groups",
  "provider_network",
  "pod_nic_type",
];

/** Behind `ovn.kubernetes.io/` alone, and the networks that Kube-OVN attaches itself, like `storage.default.ovn.kubernetes.io/`. */
export const kubeOvnOwnNames: readonly string[] = [
  "vpc",
  "vip",
  "aaps",
  "eip",
  "snat",
  "bgp",
  "north_gateway",
  "vpc_nat_gw",
];

const KEYS: ReadonlySet<string> = new Set([...interfaceAnnotations, ...pluginAnnotations]);

/** Families of keys that ask, whatever comes behind the slash; what plugins report in them is excepted. */
const FAMILIES = /^(k8s\.v1\.cni\.cncf\.io|v1\.multus-cni\.io)\//;
const REPORTS = /\/networks?-status$/;

/** Whether an annotation's key asks a network plugin for an interface or an address. */
export function isInterfaceRequest(key: string): boolean {
  return KEYS.has(key) || (FAMILIES.test(key) && !REPORTS.test(key)) || isKubeOvn(key);
}

function isKubeOvn(key: string): boolean {
  const slash = key.indexOf("/");
  const domain = key.slice(0, slash);
  if (slash < 0 || !domain.endsWith(".kubernetes.io")) return false;
  const name = key.slice(slash + 1);
  return kubeOvnNames.includes(name) || (/(^|\.)ovn\.kubernetes\.io$/.test(domain) && kubeOvnOwnNames.includes(name));
}
