import type { Container, Pod, Volume } from "kubernetes-types/core/v1.d.ts";
import { canonicalJson, sha256 } from "./digest.ts";
import { type ObjectTemplates, objectTemplates, type OwnedKind } from "./desired_state.ts";
import { proxyArgs } from "./envoy_config.ts";
import { CONNTRACK_MARK, envoyFiles, injectedNames, objects, paths, ports } from "./names.ts";
import { redirectScript } from "./redirect_script.ts";
import type { Resources, Settings } from "./settings.ts";

/** What differs from pod to pod in the containers that we inject. */
export interface PodValues {
  /** uid of the proxy, used by nothing else in the pod. */
  proxyUid: number;
  /** Verified cluster id of the consumer. */
  consumer: string;
  /** Cluster id that the namespace claims; most often the same. */
  claimedConsumer: string;
}

/** What stands for the consumer's id where no tenant namespace vouches for one: no cluster id can look so. */
export const NO_CONSUMER = "(none)";

/**
 * What one version with one set of settings injects, as JSON with placeholders for `PodValues`.
 * Kept in the contract ConfigMap too, so that replicas of two versions accept each other's pods.
 */
export interface InjectionTemplate {
  /** Digest of all the rest: the template's name. */
  id: string;
  /** Our two containers, in order; a JSON array. */
  containers: string;
  /** Our volumes; a JSON array. */
  volumes: string;
  /** uids that the proxy may have. */
  proxyUids: { first: number; last: number };
  /** Name of a Secret with registry credentials; empty: none. */
  imagePullSecret: string;
  /** Digests of the objects that pods of this template need. */
  objects: Record<OwnedKind, string>;
}

const PROXY_UID = "{{proxy uid}}";
/** Stands, quotes included, where JSON wants the number. */
const PROXY_UID_NUMBER = "{{proxy uid, number}}";
const CONSUMER = "{{consumer}}";
const CLAIMED_CONSUMER = "{{claimed consumer}}";

/** Requests equal to limits: a Guaranteed pod stays so, and quotas and limit ranges are satisfied. */
function resources(
  { cpu, memory }: Resources,
): Required<Pick<NonNullable<Container["resources"]>, "requests" | "limits">> {
  return { requests: { cpu, memory }, limits: { cpu, memory } };
}

function initContainer(settings: Settings): Container {
  return {
    name: injectedNames.init,
    image: settings.initImage,
    imagePullPolicy: "IfNotPresent",
    command: ["/bin/sh", "-c", redirectScript],
    args: [
      "redirect",
      `proxy-uid=${PROXY_UID}`,
      `resolvers=${settings.resolvers.join(",")}`,
      `outbound-port=${ports.outbound}`,
      `inbound-port=${ports.inbound}`,
      `health-port=${ports.health}`,
      `mark=${CONNTRACK_MARK}`,
      `backend=${settings.redirectBackend}`,
    ],
    resources: resources(settings.initResources),
    securityContext: {
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      // NET_RAW: the legacy back end, also when it is only fallen back to, opens a raw socket.
      capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
  };
}

function proxyContainer(settings: Settings): Container {
  const probe = {
    httpGet: { path: "/healthz/ready", port: ports.health, scheme: "HTTP" },
    timeoutSeconds: 1,
    successThreshold: 1,
  };
  const field = (name: string, fieldPath: string) => ({
    name,
    valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } },
  });
  return {
    name: injectedNames.proxy,
    image: settings.proxyImage,
    imagePullPolicy: "IfNotPresent",
    restartPolicy: "Always",
    command: ["/usr/local/bin/envoy"],
    args: ["-c", `${paths.config}/${envoyFiles.bootstrap}`, ...proxyArgs],
    env: [
      { name: "CONSUMER_ID", value: CONSUMER },
      { name: "CLAIMED_CONSUMER_ID", value: CLAIMED_CONSUMER },
      field("POD_NAMESPACE", "metadata.namespace"),
      field("POD_NAME", "metadata.name"),
      field("NODE_IP", "status.hostIP"),
    ],
    startupProbe: { ...probe, periodSeconds: 1, failureThreshold: 60 },
    readinessProbe: { ...probe, periodSeconds: 5, failureThreshold: 3 },
    resources: resources(settings.proxyResources),
    securityContext: {
      runAsUser: PROXY_UID_NUMBER as unknown as number,
      runAsGroup: PROXY_UID_NUMBER as unknown as number,
      runAsNonRoot: true,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    volumeMounts: [
      { name: injectedNames.configVolume, mountPath: paths.config, readOnly: true },
      { name: injectedNames.runVolume, mountPath: paths.run },
    ],
  };
}

/** Values that the API server would fill in are spelled out: what comes back from it equals what we sent. */
function volumes(): Volume[] {
  return [
    { name: injectedNames.configVolume, configMap: { name: objects.envoyConfig, defaultMode: 0o644 } },
    { name: injectedNames.runVolume, emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
  ];
}

/** What these settings inject. */
export function injectionTemplate(
  settings: Settings,
  kept: ObjectTemplates = objectTemplates(settings),
): InjectionTemplate {
  const content = {
    containers: JSON.stringify([initContainer(settings), proxyContainer(settings)]),
    volumes: JSON.stringify(volumes()),
    proxyUids: settings.proxyUids,
    imagePullSecret: settings.imagePullSecret ?? "",
    objects: { ConfigMap: kept.ConfigMap.digest, NetworkPolicy: kept.NetworkPolicy.digest },
  };
  return { id: sha256(canonicalJson(content)), ...content };
}

/** Makes the containers of a template for one pod, as a JSON array. */
export function fillContainers(template: InjectionTemplate, values: PodValues): string {
  const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);
  return template.containers
    .replaceAll(`"${PROXY_UID_NUMBER}"`, String(values.proxyUid))
    .replaceAll(PROXY_UID, () => String(values.proxyUid))
    .replaceAll(CONSUMER, () => escaped(values.consumer))
    .replaceAll(CLAIMED_CONSUMER, () => escaped(values.claimedConsumer));
}

/** The proxy's uid: the first of the range that nothing in the pod uses; undefined if all are used. A pure function of the spec. */
export function chooseProxyUid(pod: Pod, range: { first: number; last: number }): number | undefined {
  const used = usedIds(pod);
  for (let uid = range.first; uid <= range.last; uid++) if (!used.has(uid)) return uid;
  return undefined;
}

/** User and group ids that a pod names, our own containers left out. */
function usedIds(pod: Pod): Set<number> {
  const spec = pod.spec;
  const ids = new Set<number>();
  const add = (...values: (number | undefined)[]) => values.forEach((id) => id !== undefined && ids.add(id));
  const own = spec?.securityContext;
  add(own?.runAsUser, own?.runAsGroup, own?.fsGroup);
  if (Array.isArray(own?.supplementalGroups)) add(...own.supplementalGroups);
  for (const container of tenantContainers(pod)) {
    add(container.securityContext?.runAsUser, container.securityContext?.runAsGroup);
  }
  return ids;
}

/** Kinds of containers of a pod, as fields of its spec. */
export const CONTAINER_FIELDS = ["initContainers", "containers", "ephemeralContainers"] as const;

/** Whether a container has the name of one of ours. */
export function isOurs(container: { name?: string }): boolean {
  return container.name === injectedNames.init || container.name === injectedNames.proxy;
}

/** The consumer's containers of all kinds. */
export function tenantContainers(pod: Pod): Container[] {
  const all: Container[] = [];
  for (const field of CONTAINER_FIELDS) {
    for (const container of (pod.spec?.[field] ?? []) as Container[]) if (!isOurs(container)) all.push(container);
  }
  return all;
}

/** Whether a pod carries our two containers where they belong; says nothing about how they are made. */
export function isInjected(pod: Pod): boolean {
  const [first, second] = pod.spec?.initContainers ?? [];
  return first?.name === injectedNames.init && second?.name === injectedNames.proxy;
}
