import type { Row } from "./rows.ts";

/** A pod that Liqo is asked to create: an honest one with these fields. The webhook, or the policy behind it, has to refuse it. */
export interface PodRow extends Row {
  /** Fields of the spec, beside or instead of the honest ones. */
  spec?: Record<string, unknown>;
  /** Fields of its container. */
  container?: Record<string, unknown>;
  /** Annotations and labels. */
  metadata?: Record<string, unknown>;
}

/** A row whose command is the fields themselves, as YAML on one line. */
function row(what: string, fields: Pick<PodRow, "spec" | "container" | "metadata">, bare: Row["bare"] | null): PodRow {
  const [[kind, value]] = Object.entries(fields) as [[string, Record<string, unknown>]];
  const how = `${{ spec: "spec", container: "containers[0]", metadata: "metadata" }[kind]}: ${flow(value)}`;
  return { what, how, expected: "refused", ...fields, ...(bare ? { bare } : {}) };
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (typeof value !== "object" || value === null) return `${value}`;
  return `{${Object.entries(value).map(([key, value]) => `${key}: ${flow(value)}`).join(", ")}}`;
}

const spec = (what: string, spec: Record<string, unknown>, bare: Row["bare"] | null = "gets through") =>
  row(what, { spec }, bare);
const container = (what: string, container: Record<string, unknown>, bare: Row["bare"] | null = "gets through") =>
  row(what, { container }, bare);
const capability = (name: string) =>
  container(`capability ${name}`, { securityContext: { capabilities: { add: [name] } } });
const volume = (what: string, source: Record<string, unknown>) => spec(what, { volumes: [{ name: "v", ...source }] });

/** Pods that the consumer would like. */
export const podRows: readonly PodRow[] = [
  spec("the node's network", { hostNetwork: true }),
  spec("the node's processes", { hostPID: true }),
  spec("the node's IPC", { hostIPC: true }),
  spec("a process namespace shared with the proxy", { shareProcessNamespace: true }),
  volume("the node's file system", { hostPath: { path: "/" } }),
  volume("a volume over the network", { nfs: { server: "192.0.2.1", path: "/" } }),
  volume("a token of a ServiceAccount", { projected: { sources: [{ serviceAccountToken: { path: "t" } }] } }),
  container("privileged", { securityContext: { privileged: true } }),
  ...["NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "SETUID", "BPF"].map(capability),
  container("root", { securityContext: { runAsUser: 0 } }),
  container("more privileges by set-uid programs", { securityContext: { allowPrivilegeEscalation: true } }),
  container("no seccomp", { securityContext: { seccompProfile: { type: "Unconfined" } } }),
  container("/proc unmasked", { securityContext: { procMount: "Unmasked" } }, null), // takes hostUsers: false
  container("a port of the node", { ports: [{ containerPort: 80, hostPort: 80 }] }),
  container("the proxy's inbound port", { ports: [{ containerPort: 15806 }] }),
  container("a probe of another host", { livenessProbe: { tcpSocket: { port: 80, host: "192.0.2.1" } } }),
  container("the proxy's volume", { volumeMounts: [{ name: "data-space-run", mountPath: "/x" }] }, null),
  spec("root in a user namespace", { hostUsers: false, securityContext: { runAsUser: 0 } }),
  spec("kernel parameters", {
    securityContext: { sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }] },
  }),
  spec("a name server of its own", { dnsPolicy: "None", dnsConfig: { nameservers: ["192.0.2.1"] } }),
  spec("the node's name servers", { dnsPolicy: "Default" }),
  spec("a node of its choice, past the scheduler", { nodeName: "{node-name}" }),
  spec("a priority of the system's", { priorityClassName: "system-node-critical" }),
  spec("another ServiceAccount", { serviceAccountName: "builder", automountServiceAccountToken: true }),
  spec("a proxy of its own in place of ours", {
    initContainers: [{ name: "data-space-init", image: "localhost/tools:1" }, {
      name: "data-space-proxy",
      image: "localhost/tools:1",
      restartPolicy: "Always",
    }],
  }),
  row(
    "another interface, by Multus",
    { metadata: { annotations: { "k8s.v1.cni.cncf.io/networks": "macvlan" } } },
    "gets through",
  ),
  row("an address of its choice, by Calico", {
    metadata: { annotations: { "cni.projectcalico.org/ipAddrs": '["10.0.0.9"]' } },
  }, "gets through"),
  row("no AppArmor for the proxy, by annotation", {
    metadata: { annotations: { "container.apparmor.security.beta.kubernetes.io/data-space-proxy": "unconfined" } },
  }, null),
];

/** What it may say, and what does not help it: the pod is created, with the proxy. */
export const harmlessPodRows: readonly PodRow[] = [
  row("an opt-out on the pod", {
    metadata: {
      labels: { "data-space/apply-webhook": "false", "data-space/apply-netpol": "false" },
      annotations: { "sidecar.istio.io/inject": "false", "data-space/apply-webhook": "false" },
    },
  }, null),
  spec("an init container and a sidecar before ours", {
    initContainers: [{ name: "first", image: "localhost/tools:1" }, {
      name: "second",
      image: "localhost/tools:1",
      restartPolicy: "Always",
    }],
  }, null),
].map((row) => ({ ...row, expected: "injected" }));
