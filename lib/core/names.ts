/** Every name, key, port and id that Data Spacer writes or looks for. Whoever needs one imports it from here. */

/** Field manager of our server-side applies, value of the managed-by label, name of our namespace and of our cluster-scoped objects. */
export const PRODUCT = "data-spacer";

/** Prefix that a consumer may not use for containers and volumes: ours begin with it. */
export const RESERVED_PREFIX = "data-space-";

/** Labels and annotations that Liqo writes; sources: Liqo v0.6 to v1.2. */
export const liqo = {
  /** On offloaded namespaces, and since v1.0 also on tenant namespaces: the consumer's cluster id. */
  remoteClusterId: "liqo.io/remote-cluster-id",
  /** Marks a tenant namespace since v1.0: never ours to touch. */
  tenantNamespace: "liqo.io/tenant-namespace",
  /** Marks a tenant namespace up to v0.10. */
  tenantNamespaceV0: "discovery.liqo.io/tenant-namespace",
  /** The cluster id on a tenant namespace up to v0.10. */
  clusterIdV0: "discovery.liqo.io/cluster-id",
  /** Annotation on an offloaded namespace: `<tenant namespace>/<NamespaceMap>`. Written by Liqo, not by the consumer. */
  namespaceMap: "liqo.io/managed-by-namespace-map",
} as const;

/** Labels that the provider sets on an offloaded Namespace. */
export const labels = {
  /** Exactly `false`: no proxy, and no judgement of pods. */
  applyWebhook: "data-space/apply-webhook",
  /** Exactly `false`: no NetworkPolicy. */
  applyNetpol: "data-space/apply-netpol",
  /** Exactly `true`: on a Namespace, a peer that offloaded pods may talk to; on a pod, a convenience within its namespace. */
  netpolAllow: "data-space/netpol-allow",
  /** `restricted` (default), `root` or `observed`: what the pod rules leave to the consumer. */
  podProfile: "data-space/pod-profile",
  /** The uid that containers silent about theirs run as, in this namespace. */
  runAsUser: "data-space/run-as-user",
  /** Exactly `true`: Services and Ingresses of this namespace may be published outside the cluster. */
  allowPublish: "data-space/allow-publish",
  /** On every object that we keep. */
  managedBy: "app.kubernetes.io/managed-by",
  /** Of Kubernetes: the Pod Security level that a namespace enforces. */
  podSecurityEnforce: "pod-security.kubernetes.io/enforce",
} as const;

/** Objects that we keep, by name. */
export const objects = {
  /** ConfigMap in each offloaded namespace: Envoy's configuration. */
  envoyConfig: "data-space-envoy-config",
  /** NetworkPolicy in each offloaded namespace. */
  networkPolicy: "data-space-network-policy",
  /** Lease in our namespace. */
  lease: PRODUCT,
  /** Secret in our namespace: the CA of the webhook's certificate. */
  caSecret: "data-spacer-ca",
  /** ConfigMap in our namespace: the containers that this version and the one before make. */
  contract: "data-spacer-contract",
} as const;

/** End of the names by which a consumer knows us: of the webhook and of the admission policies. */
const PROVIDER = "data-spacer.provider";

/** Name of the webhook; a consumer reads it in refusals. */
export const WEBHOOK = `pod-rules.${PROVIDER}`;

/** ValidatingAdmissionPolicies, and their bindings of the same names; a consumer reads them in refusals. */
export const policies = {
  /** Pods begin with our two containers. */
  podCreation: `pod-creation.${PROVIDER}`,
  /** Our part of a pod stays as it is, no container comes in later, and no interface. */
  podChanges: `pod-changes.${PROVIDER}`,
  /** No process in our containers. */
  exec: `exec.${PROVIDER}`,
  /** No way into a pod past NetworkPolicy and proxy. */
  portForward: `port-forward.${PROVIDER}`,
  /** Envoy's configuration is ours alone. */
  proxyConfiguration: `proxy-configuration.${PROVIDER}`,
  /** Services stay inside the cluster. */
  services: `services.${PROVIDER}`,
  /** And there are no Ingresses. */
  ingresses: `ingresses.${PROVIDER}`,
  /** Labels that say whose a namespace is and what holds in it are the provider's. */
  namespaceLabels: `namespace-labels.${PROVIDER}`,
} as const;

/** A right that lets pass what our policies refuse: a verb on a resource that there is for RBAC alone, named like the policy up to its first dot. */
export const exception = {
  apiGroup: PROVIDER,
  resource: "exceptions",
  verb: "use",
  /** The ClusterRole that grants it, for the provider to bind. */
  role: "data-spacer-exception",
} as const;

/** Containers and volumes that we put into a pod. */
export const injectedNames = {
  /** First init container: sets the redirect rules. */
  init: "data-space-init",
  /** Second init container, a native sidecar: Envoy. */
  proxy: "data-space-proxy",
  /** Volume: the ConfigMap with Envoy's configuration. */
  configVolume: "data-space-envoy-config",
  /** Volume: Envoy's admin socket, in memory, mounted by the proxy alone. */
  runVolume: "data-space-run",
} as const;

/** TCP ports inside an injected pod; none may be used by the consumer. */
export const ports = {
  /** Capture port for connections that the pod opens. */
  outbound: 15801,
  /** Capture port for connections that reach the pod. */
  inbound: 15806,
  /** Envoy's readiness, for the kubelet. */
  health: 15821,
  /** Envoy's metrics, for Prometheus. */
  stats: 15890,
} as const;

/** Conntrack mark of the proxy's connections, set by redirect.sh. */
export const CONNTRACK_MARK = "0xd5";

/** Paths of the proxy container. */
export const paths = {
  /** Folder of the mounted ConfigMap. */
  config: "/etc/data-space",
  /** Folder of the admin socket. */
  run: "/run/data-space",
} as const;

/** Keys of the ConfigMap `objects.envoyConfig`, files of the folder `paths.config`. */
export const envoyFiles = { bootstrap: "envoy.yaml", listeners: "lds.json", clusters: "cds.json" } as const;

/** Path of the admission endpoint. */
export const MUTATE_PATH = "/mutate/pod";
