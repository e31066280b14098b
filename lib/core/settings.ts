import * as v from "valibot";
import { PRODUCT } from "./names.ts";

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
  /** Kubeconfig file; absent: the pod's own ServiceAccount. */
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
  /** iptables back end of the redirect rules. */
  redirectBackend: "nft" | "legacy";
  /** What happens to pods that run without the proxy: reported; evicted where a controller makes new ones; or deleted too. */
  recreateUninjected: "none" | "controlled" | "all";
  /** Namespaces reconciled at the same time. */
  workers: number;
  /** How long the leader's Lease holds without renewal, ms. */
  leaseMs: number;
}

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

const dnsLabel = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "must be lower-case letters, digits and dashes, at most 63"),
);
const text = v.pipe(v.string(), v.nonEmpty("must not be empty"));
const optional = v.pipe(v.string(), v.transform((s): string | undefined => s === "" ? undefined : s));
const integer = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,10}$/, message),
    v.transform(Number),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
};
const list = v.transform((s: string) => s.split(/[\s,]+/).filter((x) => x !== ""));

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const duration = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{0,5}[smhd]$/, "must be a number with a unit s, m, h or d, like 24h"),
  v.transform((s) => Number(s.slice(0, -1)) * UNITS[s.slice(-1)]!),
);

const image = v.pipe(
  v.string(),
  v.regex(
    /^[\w.:/-]+(@sha256:[0-9a-f]{64})?$/,
    "must be an image reference like registry/name:tag or registry/name@sha256:…",
  ),
);

const quantity = "[0-9]+(\\.[0-9]+)?";
const resources = v.pipe(
  v.string(),
  v.regex(
    new RegExp(`^cpu=${quantity}m?,memory=${quantity}(Ki|Mi|Gi|k|M|G)?$`),
    "must be like cpu=100m,memory=128Mi",
  ),
  v.transform((s): Resources => {
    const [cpu, memory] = s.split(",").map((part) => part.slice(part.indexOf("=") + 1));
    return { cpu: cpu!, memory: memory! };
  }),
);

const isAddress = (s: string) => v.is(v.union([v.pipe(v.string(), v.ipv4()), v.pipe(v.string(), v.ipv6())]), s);
const isCidr = (s: string) => {
  const [address, bits, ...more] = s.split("/");
  const max = address?.includes(":") ? 128 : 32;
  return more.length === 0 && isAddress(address!) && /^\d{1,3}$/.test(bits ?? "") && Number(bits) <= max;
};

const addresses = v.pipe(
  v.string(),
  list,
  v.check((all) => all.every(isAddress), "must be IPv4 or IPv6 addresses separated by commas, like 10.96.0.10"),
);
const cidrs = v.pipe(
  v.string(),
  list,
  v.check((all) => all.every(isCidr), "must be address ranges separated by commas, like 169.254.20.10/32"),
);

const labelMap = v.pipe(
  v.string(),
  v.regex(/^[\w./-]+=[\w.-]*(,[\w./-]+=[\w.-]*)*$/, "must be labels like k8s-app=kube-dns, separated by commas"),
  v.transform((s) => Object.fromEntries(s.split(",").map((pair) => pair.split("=") as [string, string]))),
);

/** The largest uid that exists in a pod with its own user namespace (`hostUsers: false`). */
export const MAX_UID = 65_535;

const uidRange = v.pipe(
  v.string(),
  v.regex(/^\d{1,5}-\d{1,5}$/, "must be two uids like 21337-21346"),
  v.transform((s) => {
    const [first, last] = s.split("-").map(Number);
    return { first: first!, last: last! };
  }),
  v.check(
    ({ first, last }) => first >= 1 && first <= last && last <= MAX_UID,
    `must be two uids from 1 to ${MAX_UID}, the smaller one first`,
  ),
);

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

/** A setting given as text, and where it came from (`--workers` or `WORKERS`), for messages. */
export interface Given {
  /** The value as it was written. */
  text: string;
  /** Flag or environment variable. */
  source: string;
}

/**
 * Settings from what was given; the rest are defaults.
 *
 * @throws {RangeError} naming the flag or variable of each value that is not right, and what would be; one line each.
 */
export function parseSettings(given: Partial<Record<keyof Settings, Given>>): Settings {
  const problems: string[] = [];
  const entries = Object.entries(options).map(([key, spec]) => {
    const { text, source } = given[key as keyof Settings] ?? { text: spec.default ?? "", source: `--${spec.flag}` };
    const result = v.safeParse(spec.schema as v.GenericSchema<string, unknown>, text, { abortPipeEarly: true });
    if (!result.success) problems.push(`Cannot use ${source} "${text}": ${result.issues[0].message}`);
    return [key, result.output];
  });
  const settings = Object.fromEntries(entries) as unknown as Settings;
  if (problems.length === 0) problems.push(...conflicts(settings));
  if (problems.length > 0) throw new RangeError(problems.join("\n"));
  return settings;
}

/** What does not fit together although each value is right by itself. */
function conflicts(s: Settings): string[] {
  const problems: string[] = [];
  if ((s.tlsCertFile === undefined) !== (s.tlsKeyFile === undefined)) {
    const missing = s.tlsCertFile === undefined ? "--tls-cert-file" : "--tls-key-file";
    problems.push(`Cannot use a mounted certificate: ${missing} is missing, and both files are needed`);
  }
  if (s.defaultRunAsUser >= s.proxyUids.first && s.defaultRunAsUser <= s.proxyUids.last) {
    problems.push(`Cannot use --default-run-as-user "${s.defaultRunAsUser}": must lie outside --proxy-uids`);
  }
  return problems;
}
