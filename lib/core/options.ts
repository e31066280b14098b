import * as v from "valibot";
import { PRODUCT } from "./names.ts";
import type { Settings } from "./settings.ts";
import {
  addresses,
  cidrs,
  dnsLabel,
  duration,
  image,
  integer,
  isAddress,
  labelMap,
  MAX_UID,
  optional,
  resources,
  text,
  uidRange,
} from "./setting_values.ts";

/** One setting on the command line and in the environment. */
export interface OptionSpec<T> {
  /** Flag without the dashes. */
  flag: string;
  /** Environment variable that gives the same. */
  env: string;
  /** Placeholder of the value in the help text; absent: the flag may stand alone and then means `alone`. */
  value: string;
  /** What the flag means without a value, where it may stand so. */
  alone?: string;
  /** Default as text; absent: none. */
  default?: string;
  /** One line of help. */
  help: string;
  /** From text to value; its issue messages say what would be right. */
  schema: v.GenericSchema<string, T>;
}

/** A table entry, typed by what its schema makes. */
function option<T>(spec: OptionSpec<T>): OptionSpec<T> {
  return spec;
}

/** Every setting's flag, environment variable, default and check. The order is that of `--help` and of the README. */
export const options: { [K in keyof Settings]: OptionSpec<Settings[K]> } = {
  namespace: option({
    flag: "namespace",
    env: "POD_NAMESPACE",
    value: "NAME",
    default: PRODUCT,
    help: "our own namespace",
    schema: dnsLabel,
  }),
  podName: option({
    flag: "pod-name",
    env: "POD_NAME",
    value: "NAME",
    default: PRODUCT,
    help: "name of this replica, holder of the Lease",
    schema: text,
  }),
  bindAddress: option({
    flag: "bind-address",
    env: "BIND_ADDRESS",
    value: "ADDRESS",
    default: "0.0.0.0",
    help: "address to listen on; :: for IPv6 and dual stack",
    schema: v.pipe(v.string(), v.check(isAddress, "must be an IPv4 or IPv6 address")),
  }),
  webhookPort: option({
    flag: "webhook-port",
    env: "WEBHOOK_PORT",
    value: "PORT",
    default: "8443",
    help: "TCP port of the admission webhook",
    schema: integer(0, 65_535),
  }),
  opsPort: option({
    flag: "ops-port",
    env: "OPS_PORT",
    value: "PORT",
    default: "8080",
    help: "TCP port of /healthz, /readyz and /metrics",
    schema: integer(0, 65_535),
  }),
  serviceName: option({
    flag: "service-name",
    env: "SERVICE_NAME",
    value: "NAME",
    default: PRODUCT,
    help: "Service of the webhook, in our namespace",
    schema: dnsLabel,
  }),
  webhookConfiguration: option({
    flag: "webhook-configuration",
    env: "WEBHOOK_CONFIGURATION",
    value: "NAME",
    default: PRODUCT,
    help: "MutatingWebhookConfiguration whose caBundle is kept right",
    schema: text,
  }),
  tlsCertFile: option({
    flag: "tls-cert-file",
    env: "TLS_CERT_FILE",
    value: "FILE",
    default: "",
    help: "certificate chain to use instead of our own CA (cert-manager)",
    schema: optional,
  }),
  tlsKeyFile: option({
    flag: "tls-key-file",
    env: "TLS_KEY_FILE",
    value: "FILE",
    default: "",
    help: "private key of --tls-cert-file",
    schema: optional,
  }),
  caLifetimeMs: option({
    flag: "ca-lifetime",
    env: "CA_LIFETIME",
    value: "TIME",
    default: "3650d",
    help: "life of our own CA; renewed at 2/3",
    schema: duration,
  }),
  certificateLifetimeMs: option({
    flag: "certificate-lifetime",
    env: "CERTIFICATE_LIFETIME",
    value: "TIME",
    default: "30d",
    help: "life of a replica's certificate; renewed at 2/3",
    schema: duration,
  }),
  kubeconfig: option({
    flag: "kubeconfig",
    env: "KUBECONFIG",
    value: "FILE",
    default: "",
    help: "how to reach the API server; without: the pod's ServiceAccount",
    schema: optional,
  }),
  context: option({
    flag: "context",
    env: "KUBE_CONTEXT",
    value: "NAME",
    default: "",
    help: "context of the kubeconfig; without: its current one",
    schema: optional,
  }),
  logLevel: option({
    flag: "log-level",
    env: "LOG_LEVEL",
    value: "LEVEL",
    default: "info",
    help: "debug, info, warn or error",
    schema: v.picklist(["debug", "info", "warn", "error"], "must be debug, info, warn or error"),
  }),
  resolvers: option({
    flag: "resolvers",
    env: "RESOLVERS",
    value: "ADDRESSES",
    default: "",
    help: "the cluster's DNS, the only one that offloaded pods may ask; without: that of our own /etc/resolv.conf",
    schema: addresses,
  }),
  dnsNamespace: option({
    flag: "dns-namespace",
    env: "DNS_NAMESPACE",
    value: "NAME",
    default: "kube-system",
    help: "namespace of the cluster's DNS pods",
    schema: dnsLabel,
  }),
  dnsSelector: option({
    flag: "dns-selector",
    env: "DNS_SELECTOR",
    value: "LABELS",
    default: "k8s-app=kube-dns",
    help: "labels of the cluster's DNS pods",
    schema: labelMap,
  }),
  dnsCidrs: option({
    flag: "dns-cidrs",
    env: "DNS_CIDRS",
    value: "RANGES",
    default: "",
    help: "ranges that DNS is allowed to besides, for example of a node-local cache",
    schema: cidrs,
  }),
  initImage: option({
    flag: "init-image",
    env: "INIT_IMAGE",
    value: "IMAGE",
    default: "ghcr.io/data-spacer/data-spacer-init:0.1.0",
    help: "image of the container that sets the redirect rules",
    schema: image,
  }),
  proxyImage: option({
    flag: "proxy-image",
    env: "PROXY_IMAGE",
    value: "IMAGE",
    default: "docker.io/envoyproxy/envoy:distroless-v1.40.0",
    help: "image of the proxy, Envoy 1.40 or newer",
    schema: image,
  }),
  imagePullSecret: option({
    flag: "image-pull-secret",
    env: "IMAGE_PULL_SECRET",
    value: "NAME",
    default: "",
    help: "Secret with registry credentials, added to injected pods",
    schema: optional,
  }),
  initResources: option({
    flag: "init-resources",
    env: "INIT_RESOURCES",
    value: "RESOURCES",
    default: "cpu=100m,memory=64Mi",
    help: "requests and limits of the init container",
    schema: resources,
  }),
  proxyResources: option({
    flag: "proxy-resources",
    env: "PROXY_RESOURCES",
    value: "RESOURCES",
    default: "cpu=200m,memory=192Mi",
    help: "requests and limits of the proxy",
    schema: resources,
  }),
  defaultRunAsUser: option({
    flag: "default-run-as-user",
    env: "DEFAULT_RUN_AS_USER",
    value: "UID",
    default: "10001",
    help: "uid of containers that name none; per Namespace by label data-space/run-as-user",
    schema: integer(1, MAX_UID),
  }),
  proxyUids: option({
    flag: "proxy-uids",
    env: "PROXY_UIDS",
    value: "FIRST-LAST",
    default: "21337-21346",
    help: "uids that the proxy may run as; a pod gets the first that nothing in it uses",
    schema: uidRange,
  }),
  redirectBackend: option({
    flag: "redirect-backend",
    env: "REDIRECT_BACKEND",
    value: "BACKEND",
    default: "nft",
    help: "iptables back end of the redirect rules, nft (legacy if it cannot be used) or legacy",
    schema: v.picklist(["nft", "legacy"], "must be nft or legacy"),
  }),
  recreateUninjected: option({
    flag: "recreate-uninjected",
    env: "RECREATE_UNINJECTED",
    value: "WHICH",
    alone: "controlled",
    default: "none",
    help:
      "pods without the proxy: none (report), controlled (evict where a controller makes new ones) or all (delete the others too)",
    schema: v.picklist(["none", "controlled", "all"], "must be none, controlled or all"),
  }),
  workers: option({
    flag: "workers",
    env: "WORKERS",
    value: "NUMBER",
    default: "16",
    help: "namespaces reconciled at the same time",
    schema: integer(1, 256),
  }),
  leaseMs: option({
    flag: "lease-duration",
    env: "LEASE_DURATION",
    value: "TIME",
    default: "10s",
    help: "how long the leader's Lease holds without renewal",
    schema: duration,
  }),
};
