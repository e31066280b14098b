import type { DaemonSet } from "kubernetes-types/apps/v1.d.ts";

/** Whether an engine enforces NetworkPolicy: as it is set up, or only it knows. */
export type Enforces = "yes" | "no" | "unknown";

/** A network engine, and how to know it. */
export interface Engine {
  name: string;
  /** Names of its DaemonSet, in whatever namespace. */
  daemonSets: readonly string[];
  /** API groups of its custom resources. */
  apiGroups: readonly string[];
  /** Beginnings of annotation keys that it leaves on Nodes. */
  annotations: readonly string[];
  /** By the DaemonSet's containers. */
  enforces(daemonSet: DaemonSet): Enforces;
  /** How to have it enforce NetworkPolicy, where it might not. */
  remedy?: string;
}

const always = (): Enforces => "yes";

function engine(name: string, marks: Partial<Engine> & Pick<Engine, "daemonSets">): Engine {
  return { name, apiGroups: [], annotations: [], enforces: always, ...marks };
}

const install = "install an engine that enforces NetworkPolicy, for example Calico beside it";

/** Engines in use in 2026; sources: their own manifests. Those that build on another stand before it. */
export const engines: readonly Engine[] = [
  engine("Calico", {
    daemonSets: ["calico-node", "canal", "rke2-canal"],
    apiGroups: ["crd.projectcalico.org", "projectcalico.org"],
    annotations: ["projectcalico.org/"],
  }),
  engine("Cilium", {
    daemonSets: ["cilium", "anetd"],
    apiGroups: ["cilium.io"],
    annotations: ["network.cilium.io/", "io.cilium."],
  }),
  engine("Antrea", { daemonSets: ["antrea-agent"], apiGroups: ["crd.antrea.io"], annotations: ["node.antrea.io/"] }),
  engine("OVN-Kubernetes", { daemonSets: ["ovnkube-node", "ovnkube-node-dpu"], annotations: ["k8s.ovn.org/"] }),
  engine("Kube-OVN", { daemonSets: ["kube-ovn-cni"], apiGroups: ["kubeovn.io"], annotations: ["ovn.kubernetes.io/"] }),
  engine("Weave Net", { daemonSets: ["weave-net"] }),
  engine("Azure Network Policy Manager", { daemonSets: ["azure-npm"] }),
  engine("kube-network-policies", { daemonSets: ["kube-network-policies"] }),
  engine("kube-router", {
    daemonSets: ["kube-router"],
    annotations: ["kube-router.io/"],
    enforces: (daemonSet) => says(daemonSet, "--run-firewall=false") ? "no" : "yes",
    remedy: "start kube-router with --run-firewall=true",
  }),
  engine("Amazon VPC CNI", {
    daemonSets: ["aws-node"],
    apiGroups: ["vpcresources.k8s.aws"],
    enforces: (daemonSet) => says(daemonSet, "--enable-network-policy=true") ? "yes" : "no",
    remedy: "set enableNetworkPolicy in the add-on's configuration",
  }),
  engine("kindnet", {
    daemonSets: ["kindnet"],
    enforces: (daemonSet) => says(daemonSet, "--network-policy=true") ? "yes" : "unknown",
    remedy: "kind 0.24 or newer enforces NetworkPolicy, unless it was switched off",
  }),
  engine("Flannel", {
    daemonSets: ["kube-flannel-ds", "kube-flannel"],
    annotations: ["flannel.alpha.coreos.com/"],
    enforces: (daemonSet) => containers(daemonSet).some(({ name }) => name === "kube-network-policies") ? "yes" : "no",
    remedy: install,
  }),
];

function containers(daemonSet: DaemonSet) {
  return daemonSet.spec?.template.spec?.containers ?? [];
}

function says(daemonSet: DaemonSet, flag: string): boolean {
  return containers(daemonSet).some(({ command = [], args = [] }) => [...command, ...args].includes(flag));
}
