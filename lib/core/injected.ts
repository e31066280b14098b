import type { Container, Volume } from "kubernetes-types/core/v1.d.ts";
import { canonicalJson, sha256 } from "./digest.ts";
import { type ObjectTemplates, objectTemplates, type OwnedKind } from "./desired_state.ts";
import { NODE_VARIABLE, PROBES_VARIABLE } from "./envoy/probes.ts";
import { proxyArgs } from "./envoy_config.ts";
import { CONNTRACK_MARK, envoyFiles, injectedNames, objects, paths, ports } from "./names.ts";
import { redirectArgs, redirectScript } from "./redirect_script.ts";
import type { Resources, Settings } from "./settings.ts";

/** What differs from pod to pod in the containers that we inject. */
export interface PodValues {
  /** uid of the proxy, used by nothing else in the pod. */
  proxyUid: number;
  /** Verified cluster id of the consumer. */
  consumer: string;
  /** Cluster id that the namespace claims; most often the same. */
  claimedConsumer: string;
  /** HTTP probes of the pod, as `probesVariable` writes them. */
  probes: string;
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

/** What stands in a template for a value of the pod, within a text or, quotes included, as a number. */
const slot = (key: keyof PodValues): string => `{{${key}}}`;
const numberSlot = (key: keyof PodValues): number => `{{${key}, number}}` as unknown as number;

/** Finds placeholders in a template's JSON. Groups: the key of a number, or the key of a text. */
export const PLACEHOLDER: RegExp = /"\{\{(proxyUid), number\}\}"|\{\{(proxyUid|consumer|claimedConsumer|probes)\}\}/;

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
    args: redirectArgs({
      proxyUid: slot("proxyUid"),
      resolvers: settings.resolvers,
      outboundPort: ports.outbound,
      inboundPort: ports.inbound,
      healthPort: ports.health,
      mark: CONNTRACK_MARK,
      backend: settings.redirectBackend,
    }),
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
      { name: "CONSUMER_ID", value: slot("consumer") },
      { name: "CLAIMED_CONSUMER_ID", value: slot("claimedConsumer") },
      field("POD_NAMESPACE", "metadata.namespace"),
      field("POD_NAME", "metadata.name"),
      field(NODE_VARIABLE, "status.hostIPs"),
      { name: PROBES_VARIABLE, value: slot("probes") },
    ],
    startupProbe: { ...probe, periodSeconds: 1, failureThreshold: 60 },
    readinessProbe: { ...probe, periodSeconds: 5, failureThreshold: 3 },
    resources: resources(settings.proxyResources),
    securityContext: {
      runAsUser: numberSlot("proxyUid"),
      runAsGroup: numberSlot("proxyUid"),
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
