import { apiServerCommand, type ClusterOptions, controllersCommand, etcdCommand } from "../control_plane.ts";
import { type Addresses, both } from "./addresses.ts";
import type { NodePrograms } from "./programs.ts";

/** Programs of a node that run all the time, in the order in which they are looked at when one fails. */
export const COMPONENTS = [
  "containerd",
  "etcd",
  "apiserver",
  "controllers",
  "scheduler",
  "kubelet",
  "proxy",
  "felix",
] as const;

/** One of {@linkcode COMPONENTS}. */
export type Component = typeof COMPONENTS[number];

/** Where Felix tells whether its rules are in force. */
export const FELIX_PORT = 9099;

/** Command lines of a node's programs, as they are run inside of it. */
export function nodeCommands(
  at: { folder: string; addresses: Addresses; programs: NodePrograms },
  options: Pick<ClusterOptions, "admissionPlugins" | "apiServerFlags" | "audit">,
): Record<Component, string[]> {
  const { folder, addresses: { name, node, pods, services }, programs } = at;
  const place = { binaries: programs, folder };
  const etcd = "http://127.0.0.1:2379";
  const network = { etcd, bind: "0.0.0.0", advertise: node.v4, port: 6443, services: both(services) };
  return {
    containerd: ["containerd", "--config", `${folder}/containerd.toml`],
    etcd: etcdCommand(place, etcd, "http://127.0.0.1:2380"),
    apiserver: [
      ...apiServerCommand(place, network, options),
      `--kubelet-client-certificate=${folder}/kubelet-client.crt`,
      `--kubelet-client-key=${folder}/kubelet-client.key`,
      `--kubelet-certificate-authority=${folder}/ca.crt`,
      "--kubelet-preferred-address-types=InternalIP",
    ],
    controllers: [
      ...controllersCommand(place),
      "--bind-address=127.0.0.1",
      `--service-cluster-ip-range=${both(services)}`,
      `--cluster-cidr=${both(pods)}`,
      "--allocate-node-cidrs=true",
      "--node-cidr-mask-size-ipv4=24",
      "--node-cidr-mask-size-ipv6=64",
    ],
    scheduler: [
      programs.kc,
      "kube-scheduler",
      ...["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"].map((flag) =>
        `--${flag}=${folder}/scheduler.kubeconfig`
      ),
      "--leader-elect=false",
      "--bind-address=127.0.0.1",
    ],
    kubelet: [
      programs.kc,
      "kubelet",
      `--config=${folder}/kubelet.json`,
      `--kubeconfig=${folder}/kubelet.kubeconfig`,
      `--hostname-override=${name}`,
      `--node-ip=${both(node)}`,
      "--root-dir=/var/lib/kubelet",
    ],
    proxy: [programs.kc, "kube-proxy", `--config=${folder}/proxy.json`],
    felix: [
      "env",
      `KUBECONFIG=${folder}/network.kubeconfig`,
      ...Object.entries(felixSettings(name, node.v4)).map(([key, value]) => `FELIX_${key}=${value}`),
      `${folder}/bin/calico-felix`,
    ],
  };
}

function felixSettings(name: string, healthAddress: string): Record<string, string | number | boolean> {
  return {
    DATASTORETYPE: "kubernetes",
    FELIXHOSTNAME: name,
    IPV6SUPPORT: true,
    IPTABLESBACKEND: "nft",
    BPFENABLED: false,
    DEFAULTENDPOINTTOHOSTACTION: "ACCEPT",
    USAGEREPORTINGENABLED: false,
    LOGFILEPATH: "none",
    LOGSEVERITYSYS: "none",
    LOGSEVERITYSCREEN: "warning",
    HEALTHENABLED: true,
    HEALTHHOST: healthAddress,
    HEALTHPORT: FELIX_PORT,
  };
}
