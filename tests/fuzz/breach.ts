import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";

/** Images of the two containers that every pod gets. */
export interface Images {
  init: string;
  proxy: string;
}

/**
 * What is wrong with a pod that was let through; undefined: nothing.
 *
 * Written apart from lib/core on purpose, from the bypass matrix: a rule that looks in the wrong place does not look so here too.
 */
export function breach(pod: Pod, images: Images): string | undefined {
  const spec = pod.spec!;
  const [init, proxy, ...rest] = spec.initContainers ?? [];
  if (init?.name !== "data-space-init" || proxy?.name !== "data-space-proxy") return "our containers are not first";
  if (init.image !== images.init || proxy.image !== images.proxy) return "our containers have another image";
  const proxyUid = proxy.securityContext?.runAsUser;
  if (typeof proxyUid !== "number" || proxyUid === 0) return "the proxy has no uid";
  if (!init.args?.includes(`proxy-uid=${proxyUid}`)) return "the rules are for another uid";
  for (const flag of ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] as const) {
    if (spec[flag]) return flag;
  }
  if (spec.nodeName || spec.automountServiceAccountToken !== false) return "node or token";
  if (spec.serviceAccountName && spec.serviceAccountName !== "default") return "service account";
  if (spec.dnsPolicy && spec.dnsPolicy !== "ClusterFirst") return "dnsPolicy";
  if (spec.dnsConfig?.nameservers?.length) return "dnsConfig";
  const podUid = spec.securityContext?.runAsUser;
  if (spec.securityContext?.sysctls?.length) return "sysctls";
  if (spec.ephemeralContainers?.length) return "ephemeral containers";
  if (list(spec.volumes).some((volume) => volume?.hostPath)) return "hostPath";
  const ours = list(spec.volumes).filter((volume) => String(volume?.name).startsWith("data-space-"));
  if (ours.length !== 2) return "our volumes";
  if (ours.find(({ name }) => name === "data-space-envoy-config")?.configMap?.name !== "data-space-envoy-config") {
    return "another configuration";
  }
  for (const container of [...rest, ...list(spec.containers)]) {
    const problem = tenantBreach(container, podUid, proxyUid, spec.securityContext?.seccompProfile?.type);
    if (problem !== undefined) return `${container.name}: ${problem}`;
  }
  return undefined;
}

function tenantBreach(
  c: Container,
  podUid: number | undefined,
  proxyUid: number,
  podSeccomp?: string,
): string | undefined {
  const security = c.securityContext;
  const uid = security?.runAsUser ?? podUid;
  if (uid === undefined || uid === null || uid === 0 || uid === proxyUid) return `runs as ${uid}`;
  if (security?.privileged || security?.allowPrivilegeEscalation !== false) return "privileges";
  if (!security.capabilities?.drop?.includes("ALL")) return "keeps capabilities";
  if (security.capabilities.add?.some((name) => name !== "NET_BIND_SERVICE")) return "adds capabilities";
  if ((security.seccompProfile?.type ?? podSeccomp) !== "RuntimeDefault") return "seccomp";
  if (c.name.startsWith("data-space-")) return "has our name";
  const names = [...list(c.volumeMounts), ...list(c.volumeDevices)].map((mount) => String(mount?.name));
  if (names.some((name) => name.startsWith("data-space-"))) return "mounts our volume";
  if (list(c.ports).some((port) => port?.hostPort)) return "hostPort";
  return undefined;
}

/** What is no list is refused by the API server before anybody sees it. */
function list<T>(value: T[] | undefined): T[] {
  return Array.isArray(value) ? value : [];
}
