/** CPU and memory of one of our containers, as Kubernetes quantities; its requests equal its limits. */
export interface Resources {
  /** For example `100m`. */
  cpu: string;
  /** For example `128Mi`. */
  memory: string;
}

/** What the provider decides, validated. All that `serve`, `inject`, `render` and `check` do follows from it. */
export interface Settings {
  /** Our own namespace. */
  namespace: string;
  /** Name of this replica: holder of the Lease, in logs. */
  podName: string;
  /** Address that the webhook and ops ports listen on. */
  bindAddress: string;
  /** TCP port of the admission webhook (TLS). */
  webhookPort: number;
  /** TCP port of /healthz, /readyz and /metrics (plain HTTP). */
  opsPort: number;
  /** Service of the webhook in our namespace: the host name in its certificate. */
  serviceName: string;
  /** MutatingWebhookConfiguration whose `caBundle` we keep right. */
  webhookConfiguration: string;
  /** Certificate chain to use instead of our own CA; PEM file. Goes together with `tlsKeyFile`. */
  tlsCertFile: string | undefined;
  /** Private key of `tlsCertFile`; PEM file. */
  tlsKeyFile: string | undefined;
  /** Life of our own CA, ms. */
  caLifetimeMs: number;
  /** Life of a replica's certificate, ms. */
  certificateLifetimeMs: number;
  /** Kubeconfig file; absent: the pod's own ServiceAccount, outside of a pod `~/.kube/config`. */
  kubeconfig: string | undefined;
  /** Context of the kubeconfig; absent: its current one. */
  context: string | undefined;
  /** Least level that is logged. */
  logLevel: "debug" | "info" | "warn" | "error";
  /** Addresses of the cluster's DNS, IPv4 and IPv6; the only ones that offloaded pods may ask. Empty: those of our own /etc/resolv.conf. */
  resolvers: string[];
  /** Namespace of the cluster's DNS pods. */
  dnsNamespace: string;
  /** Labels of the cluster's DNS pods. */
  dnsSelector: Record<string, string>;
  /** Ranges that DNS is allowed to besides, for example of a node-local cache. */
  dnsCidrs: string[];
  /** Image of the container that sets the redirect rules. */
  initImage: string;
  /** Image of the proxy: Envoy 1.40 or newer. */
  proxyImage: string;
  /** Secret with registry credentials that injected pods get besides their own; it must exist in their namespace. */
  imagePullSecret: string | undefined;
  /** Resources of the init container. */
  initResources: Resources;
  /** Resources of the proxy. */
  proxyResources: Resources;
  /** uid of containers that name none. */
  defaultRunAsUser: number;
  /** uids that the proxy may run as; a pod gets the first that nothing in it uses. */
  proxyUids: { first: number; last: number };
  /** RuntimeClasses that pods may ask for, each known to work with the redirect rules. */
  runtimeClasses: string[];
  /** PriorityClasses that pods may ask for; the cluster's default class, if it has one, must be among them. */
  priorityClasses: string[];
  /** Extended resources that pods may ask for, like `nvidia.com/gpu`; no network devices. */
  extendedResources: string[];
  /** iptables back end of the redirect rules. */
  redirectBackend: "nft" | "legacy";
  /** What happens to pods that run without the proxy: reported; evicted where a controller makes new ones; or deleted too. */
  recreateUninjected: "none" | "controlled" | "all";
  /** Namespaces reconciled at the same time. */
  workers: number;
  /** How long the leader's Lease holds without renewal, ms. */
  leaseMs: number;
}
