import type { Binaries } from "./build.ts";
import { freePort } from "./network.ts";
import { Authority, type KeyPair, type Subject, tokenKeys } from "./pki.ts";

/** Options of {@linkcode startCluster}. */
export interface ClusterOptions {
  /** Kubernetes release; by default the chosen one (versions.ts). */
  release?: string;
  /** Admission plugins besides the default ones and NodeRestriction, for example `AlwaysPullImages`. */
  admissionPlugins?: string[];
  /** More flags for kube-apiserver. */
  apiServerFlags?: string[];
  /** Writes each request to the API server as a JSON line; read them with `cluster.audit()`. */
  audit?: boolean;
  /** Controllers that run in kube-controller-manager, besides {@linkcode CONTROLLERS}. */
  controllers?: string[];
  /** Gets lines of progress during a cold build; by default they go to stderr. */
  log?: (line: string) => void;
}

/** The controllers that make Namespaces, ServiceAccounts, owner references, Deployments and Services work. No Pod is ever scheduled. */
export const CONTROLLERS = [
  "serviceaccount-controller",
  "serviceaccount-token-controller",
  "root-ca-certificate-publisher-controller",
  "namespace-controller",
  "garbage-collector-controller",
  "deployment-controller",
  "replicaset-controller",
  "endpointslice-controller",
];

/** The cluster's administrator. */
export const ADMIN: Subject = { name: "kubernetes-admin", groups: ["system:masters"] };
const SERVER_NAMES = [
  "localhost",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "127.0.0.1",
  "10.96.0.1",
];

/** Programs of a cluster, and how each is started. */
export type Commands = Record<"etcd" | "apiserver" | "controllers", string[]>;

/** A control plane, ready to be started. */
export interface ControlPlane {
  /** URL of the API server. */
  server: string;
  /** Signs its users' certificates. */
  authority: Authority;
  /** Certificate of {@linkcode ADMIN}. */
  admin: KeyPair;
  /** Command lines. */
  commands: Commands;
}

/** Where a control plane finds its programs and keeps its files. */
export interface Place {
  /** The programs. */
  binaries: Binaries;
  /** Folder for keys, data and logs. */
  folder: string;
}

/** Chooses ports, makes keys, writes what the programs read into the folder. */
export async function configure(place: Place, options: ClusterOptions): Promise<ControlPlane> {
  const ports = { etcd: freePort(), etcdPeer: freePort(), apiserver: freePort() };
  const server = `https://127.0.0.1:${ports.apiserver}`;
  const { authority, admin, files } = await makeKeys(server, SERVER_NAMES);
  await writeFiles(place.folder, files);
  const etcd = `http://127.0.0.1:${ports.etcd}`;
  const controllers = [...CONTROLLERS, ...options.controllers ?? []].join(",");
  const commands = {
    etcd: etcdCommand(place, etcd, `http://127.0.0.1:${ports.etcdPeer}`),
    apiserver: [
      ...apiServerCommand(place, {
        etcd,
        bind: "127.0.0.1",
        advertise: "127.0.0.1",
        port: ports.apiserver,
        services: "10.96.0.0/16",
      }, options),
      "--endpoint-reconciler-type=none",
      // finds the endpoints of a webhook's Service by itself, where kube-proxy would in a cluster with nodes
      "--enable-aggregator-routing=true",
    ],
    controllers: [...controllersCommand(place), "--secure-port=0", `--controllers=${controllers}`],
  };
  return { server, authority, admin, commands };
}

/** Keys of a control plane. */
export interface Keys {
  /** Signs its users' certificates. */
  authority: Authority;
  /** Certificate of {@linkcode ADMIN}. */
  admin: KeyPair;
  /** Files that its programs read, by name; the text of each. */
  files: Record<string, string>;
}

/** Makes the keys of a control plane whose API server has that URL and these names and addresses. */
export async function makeKeys(server: string, hosts: string[]): Promise<Keys> {
  const [authority, keys] = await Promise.all([Authority.create(), tokenKeys()]);
  const [serving, admin, controllers] = await Promise.all([
    authority.issue({ name: "kube-apiserver", hosts }),
    authority.issue(ADMIN),
    authority.issue({ name: "system:kube-controller-manager" }),
  ]);
  const files = {
    "ca.crt": authority.ca,
    "apiserver.crt": serving.cert,
    "apiserver.key": serving.key,
    "tokens.key": keys.privateKey,
    "tokens.pub": keys.publicKey,
    "controllers.kubeconfig": kubeconfig(server, { ca: authority.ca, user: certificateUser(controllers) }),
    "audit-policy.json": JSON.stringify({
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived"],
      rules: [{ level: "Metadata" }],
    }),
  };
  return { authority, admin, files };
}

/** Writes files that only their owner may read. */
export async function writeFiles(folder: string, files: Record<string, string>): Promise<void> {
  await Promise.all(
    Object.entries(files).map(([name, text]) => Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o600 })),
  );
}

/** etcd for clients at the URL `client`. */
export function etcdCommand({ binaries, folder }: Place, client: string, peer: string): string[] {
  return [
    binaries.etcd,
    "--name=test",
    `--data-dir=${folder}/etcd`,
    "--log-level=warn",
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=test=${peer}`,
    "--unsafe-no-fsync", // a crash of the process loses nothing, only one of the machine would
  ];
}

/** Where an API server listens and what it is told about its network. */
export interface ApiServerNetwork {
  /** URL of etcd. */
  etcd: string;
  /** Address to listen on. */
  bind: string;
  /** Address of the Service `kubernetes`. */
  advertise: string;
  /** Port to listen on. */
  port: number;
  /** Ranges of ClusterIPs, comma separated. */
  services: string;
}

/** kube-apiserver with the files of {@linkcode makeKeys}. */
export function apiServerCommand(
  { binaries, folder }: Place,
  network: ApiServerNetwork,
  options: Pick<ClusterOptions, "admissionPlugins" | "apiServerFlags" | "audit">,
): string[] {
  return [
    binaries.kc,
    "kube-apiserver",
    `--etcd-servers=${network.etcd}`,
    `--bind-address=${network.bind}`,
    `--advertise-address=${network.advertise}`,
    `--secure-port=${network.port}`,
    `--tls-cert-file=${folder}/apiserver.crt`,
    `--tls-private-key-file=${folder}/apiserver.key`,
    `--client-ca-file=${folder}/ca.crt`,
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-key-file=${folder}/tokens.pub`,
    `--service-account-signing-key-file=${folder}/tokens.key`,
    `--service-cluster-ip-range=${network.services}`,
    "--authorization-mode=Node,RBAC",
    `--enable-admission-plugins=${["NodeRestriction", ...options.admissionPlugins ?? []].join(",")}`,
    "--allow-privileged=true",
    ...(options.audit
      ? [`--audit-policy-file=${folder}/audit-policy.json`, `--audit-log-path=${folder}/logs/audit.jsonl`]
      : []),
    ...options.apiServerFlags ?? [],
  ];
}

/** kube-controller-manager with the files of {@linkcode makeKeys}. It ends at once if the API server is not ready. */
export function controllersCommand({ binaries, folder }: Place): string[] {
  const own = `${folder}/controllers.kubeconfig`;
  return [
    binaries.kc,
    "kube-controller-manager",
    `--kubeconfig=${own}`,
    `--authentication-kubeconfig=${own}`,
    `--authorization-kubeconfig=${own}`,
    `--service-account-private-key-file=${folder}/tokens.key`,
    `--root-ca-file=${folder}/ca.crt`,
    "--use-service-account-credentials=true",
    "--kube-api-qps=500",
    "--kube-api-burst=1000",
    "--leader-elect=false",
  ];
}

/** A kubeconfig with one cluster and one user. */
export function kubeconfig(server: string, given: { ca: string; user: Record<string, string> }): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "certificate-authority-data": btoa(given.ca) } }],
    users: [{ name: "test", user: given.user }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  });
}

/** The user of a kubeconfig that has a client certificate. */
export function certificateUser({ cert, key }: KeyPair): Record<string, string> {
  return { "client-certificate-data": btoa(cert), "client-key-data": btoa(key) };
}
