import { certificateUser, type Keys, kubeconfig } from "../control_plane.ts";
import { type Addresses, both } from "./addresses.ts";
import { IMAGES } from "./base_images.ts";

/** Users of the node's programs, by the name of their kubeconfig. */
const USERS = (node: string) => ({
  scheduler: { name: "system:kube-scheduler" },
  proxy: { name: "system:kube-proxy" },
  kubelet: { name: `system:node:${node}`, groups: ["system:nodes"] },
  network: { name: "calico", groups: ["system:masters"] },
});

/** As whom the API server asks the kubelet for logs and exec. */
export const KUBELET_CLIENT = "kube-apiserver-kubelet-client";

/** Files of a node's programs, by name in its folder; the text of each. */
export async function nodeFiles(folder: string, addresses: Addresses, keys: Keys): Promise<Record<string, string>> {
  const { name, node, dns, server } = addresses;
  const { authority } = keys;
  const [serving, client] = await Promise.all([
    authority.issue({ name, hosts: [name, "127.0.0.1", node.v4, node.v6] }),
    authority.issue({ name: KUBELET_CLIENT }),
  ]);
  const files: Record<string, string> = {
    "kubelet.crt": serving.cert,
    "kubelet.key": serving.key,
    "kubelet-client.crt": client.cert,
    "kubelet-client.key": client.key,
    "resolv.conf": `nameserver ${dns}\n`,
    "containerd.toml": containerdConfig(folder),
    "kubelet.json": JSON.stringify(kubeletConfig(folder, addresses)),
    "proxy.json": JSON.stringify(proxyConfig(folder, addresses)),
    "cni/10-calico.conflist": JSON.stringify(networkConfig(folder, name)),
    "hidden/var/lib/calico/nodename": name, // the plugin does nothing without it
  };
  for (const [user, subject] of Object.entries(USERS(name))) {
    const pair = await authority.issue(subject);
    files[`${user}.kubeconfig`] = kubeconfig(server, { ca: authority.ca, user: certificateUser(pair) });
  }
  return files;
}

/** Socket of containerd, in the node. */
export const CONTAINERD = "/run/node/containerd.sock";

/** In version 2 of its format, which containerd 1.6 to 2.x read. */
function containerdConfig(folder: string): string {
  const cri = `plugins."io.containerd.grpc.v1.cri"`;
  const snapshotters = ["btrfs", "zfs", "aufs", "devmapper"].map((name) => `"io.containerd.snapshotter.v1.${name}"`);
  return `
version = 2
root = "${folder}/containerd"
state = "/run/node/containerd"
disabled_plugins = [${snapshotters.join(", ")}]
[grpc]
  address = "${CONTAINERD}"
[debug]
  level = "warn"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/containerd-opt"
[${cri}]
  sandbox_image = "${IMAGES.pause}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
[${cri}.cni]
  bin_dir = "${folder}/cni-bin"
  conf_dir = "${folder}/cni"
[${cri}.containerd]
  snapshotter = "overlayfs"
[${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
`;
}

function kubeletConfig(folder: string, { name, node, dns }: Addresses): Record<string, unknown> {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    failCgroupV1: false,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${name}`,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: ["none"],
    containerRuntimeEndpoint: `unix://${CONTAINERD}`,
    address: node.v4,
    port: 10250,
    healthzBindAddress: "127.0.0.1",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: `${folder}/ca.crt` },
    },
    authorization: { mode: "Webhook" },
    tlsCertFile: `${folder}/kubelet.crt`,
    tlsPrivateKeyFile: `${folder}/kubelet.key`,
    clusterDomain: "cluster.local",
    clusterDNS: [dns],
    resolvConf: `${folder}/resolv.conf`,
    failSwapOn: false,
    maxOpenFiles: 20_000, // higher limits may not be ours to give
    oomScoreAdj: 0,
    protectKernelDefaults: true, // see node.sh
    podLogsDir: `${folder}/pod-logs`,
    volumePluginDir: `${folder}/volume-plugins`,
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: {
      "memory.available": "100Mi",
      "nodefs.available": "1%",
      "nodefs.inodesFree": "1%",
      "imagefs.available": "1%",
      "imagefs.inodesFree": "1%",
    },
    nodeStatusUpdateFrequency: "5s",
    syncFrequency: "20s",
    serializeImagePulls: false,
  };
}

function proxyConfig(folder: string, { name, pods }: Addresses): Record<string, unknown> {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "iptables",
    clientConnection: { kubeconfig: `${folder}/proxy.kubeconfig` },
    hostnameOverride: name,
    clusterCIDR: both(pods),
    healthzBindAddress: "127.0.0.1:10256",
    metricsBindAddress: "127.0.0.1:10249",
    oomScoreAdj: 0,
    // these belong to the whole machine
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
}

function networkConfig(folder: string, name: string): Record<string, unknown> {
  return {
    cniVersion: "0.4.0",
    name: "calico",
    plugins: [
      {
        type: "calico",
        datastore_type: "kubernetes",
        nodename: name,
        mtu: 1500,
        log_level: "warning",
        log_file_path: `${folder}/logs/cni.log`,
        ipam: {
          type: "host-local",
          dataDir: "/run/node/ipam",
          ranges: [[{ subnet: "usePodCidr" }], [{ subnet: "usePodCidrIPv6" }]],
        },
        policy: { type: "k8s" },
        kubernetes: { kubeconfig: `${folder}/network.kubeconfig` },
      },
      { type: "portmap", capabilities: { portMappings: true }, snat: true },
    ],
  };
}
