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
  "network.v1alpha1.isovalent.com/pod-networks",
  // OVN-Kubernetes: makes the pod a gateway of other namespaces
  "k8s.ovn.org/routing-namespaces",
  "k8s.ovn.org/routing-network",
  // Kube-OVN
  "ovn.kubernetes.io/ip_address",
  "ovn.kubernetes.io/ip_pool",
  "ovn.kubernetes.io/mac_address",
  "ovn.kubernetes.io/logical_switch",
  "ovn.kubernetes.io/vpc",
  // Antrea
  "ipam.antrea.io/ippools",
  "ipam.antrea.io/pod-ips",
  // Spiderpool
  "ipam.spidernet.io/ippool",
  "ipam.spidernet.io/ippools",
  "ipam.spidernet.io/subnet",
  "ipam.spidernet.io/subnets",
  "ipam.spidernet.io/routes",
  // GKE
  "networking.gke.io/default-interface",
  "networking.gke.io/interfaces",
  // DANM, CNI-Genie, Network Service Mesh
  "danm.k8s.io/interfaces",
  "cni",
  "networkservicemesh.io",
];

const KEYS: ReadonlySet<string> = new Set(interfaceAnnotations);

/** Families of keys that ask, whatever comes behind the slash; what plugins report in them is excepted. */
const FAMILIES = /^(k8s\.v1\.cni\.cncf\.io|v1\.multus-cni\.io)\//;
const REPORTS = /\/networks?-status$/;

/** Whether an annotation's key asks a network plugin for an interface or an address. */
export function isInterfaceRequest(key: string): boolean {
  return KEYS.has(key) || (FAMILIES.test(key) && !REPORTS.test(key));
}
