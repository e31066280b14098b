import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { injectedNames } from "../../lib/core/names.ts";

/** What a consumer writes into a pod; `harmless`: it may be created, guarded. */
export type Attempt = [
  name: string,
  change: (pod: Pod & { spec: Record<string, unknown> }) => void,
  harmless?: "harmless",
];

/** Its first container, for fields that the types do not know too. */
export const first = (pod: Pod): Container & Record<string, unknown> =>
  pod.spec!.containers[0]! as Container & Record<string, unknown>;
const volume = (name: string, source: object) => (pod: Pod) => {
  pod.spec!.volumes!.push({ name, ...source });
};

/** What must not get around the proxy; `ours` are our two containers as they should be. */
export const attempts = (ours: Container[]): Attempt[] => [
  ["both our names, in the other order", (pod) => {
    pod.spec.initContainers = structuredClone(ours).reverse();
  }],
  ["our containers without our volumes", (pod) => {
    pod.spec.initContainers = structuredClone(ours);
  }],
  ["our names among the containers", (pod) => {
    pod.spec.containers.push({ name: injectedNames.proxy, image: "localhost/x:1" });
  }],
  ["a sidecar of its own before ours", (pod) => {
    const sidecar = { name: "first", image: "localhost/x:1", restartPolicy: "Always" };
    pod.spec.initContainers = [sidecar as Container];
  }, "harmless"],
  ["every uid of the proxy's range taken", (pod) => {
    pod.spec.securityContext = { supplementalGroups: Array.from({ length: 10 }, (_, i) => 21_337 + i) };
  }],
  ["the proxy's uid as a group", (pod) => {
    pod.spec.securityContext = { supplementalGroups: [21_337], fsGroup: 21_338 };
  }, "harmless"],
  ["root in a user namespace", (pod) => {
    pod.spec.hostUsers = false;
    first(pod).securityContext = { runAsUser: 0 };
  }],
  ["a Windows pod", (pod) => {
    pod.spec.os = { name: "windows" };
    pod.spec.securityContext = {};
  }],
  ["an ephemeral container", (pod) => {
    pod.spec.ephemeralContainers = [{ name: "debug", image: "localhost/x:1" }];
  }],
  ["overhead", (pod) => pod.spec.overhead = { cpu: "1m" }],
  ["a priority without a class", (pod) => (pod.spec as { priority?: number }).priority = 2_000_000_000],
  ["a runtime class", (pod) => pod.spec.runtimeClassName = "kata"],
  ["a mirror pod, which must name its node", (pod) => {
    pod.spec.nodeName = "node";
    pod.metadata!.annotations!["kubernetes.io/config.mirror"] = "x";
    pod.spec.volumes = []; // a mirror pod may name no Secret
    delete first(pod).volumeMounts;
  }],
  ["a static pod's source", (pod) => pod.metadata!.annotations!["kubernetes.io/config.source"] = "file", "harmless"],
  ["the proxy's AppArmor by annotation", (pod) => {
    const key = `container.apparmor.security.beta.kubernetes.io/${injectedNames.proxy}`;
    pod.metadata!.annotations![key] = "unconfined";
  }],
  ["a profile of AppArmor for all containers, ours too", (pod) => {
    const appArmorProfile = { type: "Localhost", localhostProfile: "permissive" };
    Object.assign(pod.spec, { securityContext: { appArmorProfile } });
  }],
  ["a type of SELinux for all containers, ours too", (pod) => {
    pod.spec.securityContext = { seLinuxOptions: { type: "container_engine_t" } };
  }],
  ["all categories of SELinux for all containers, ours too", (pod) => {
    pod.spec.securityContext = { seLinuxOptions: { level: "s0-s0:c0.c1023" } };
  }],
  ["an opt-out on the pod", (pod) => {
    Object.assign(pod.metadata!.labels!, { "data-space/apply-webhook": "false", "data-space/netpol-allow": "false" });
  }, "harmless"],
  ["a scheduling gate", (pod) => pod.spec.schedulingGates = [{ name: "example.com/wait" }], "harmless"],
  ["a restart of the whole pod", (pod) => {
    const exitCodes = { operator: "In", values: [1] };
    first(pod).restartPolicy = "Always";
    first(pod).restartPolicyRules = [{ action: "RestartAllContainers", exitCodes }];
  }],
  ["our volume in a sub path", (pod) => {
    first(pod).volumeMounts!.push({ name: injectedNames.runVolume, mountPath: "/x", subPath: "admin.sock" });
  }],
  ["our volume defined by itself", volume(injectedNames.runVolume, { emptyDir: {} })],
  ["our volume defined twice", (pod) => {
    for (let i = 0; i < 2; i++) volume(injectedNames.configVolume, { configMap: { name: "evil" } })(pod);
  }],
  ["a volume of its own on our ConfigMap", (pod) => {
    volume("peek", { configMap: { name: "data-space-envoy-config" } })(pod);
    const projected = { sources: [{ configMap: { name: "data-space-envoy-config" } }] };
    volume("peek-2", { projected })(pod);
    first(pod).volumeMounts!.push({ name: "peek", mountPath: "/peek", subPath: "envoy.yaml" });
  }, "harmless"],
  ["a token of our ServiceAccount's audience", (pod) => {
    volume("token", { projected: { sources: [{ serviceAccountToken: { path: "t", audience: "x" } }] } })(pod);
  }],
  ["environment out of our volume", (pod) => {
    const fileKeyRef = { volumeName: injectedNames.runVolume, path: "x", key: "X" };
    first(pod).env!.push({ name: "X", valueFrom: { fileKeyRef } as object });
  }],
  ["mount propagation", (pod) => {
    first(pod).volumeMounts![0]!.mountPropagation = "Bidirectional";
  }],
  ["name servers among search paths", (pod) => {
    pod.spec.dnsConfig = { nameservers: ["192.0.2.53"], searches: ["a"] };
  }],
  ["poisoned hosts", (pod) => {
    pod.spec.hostAliases = [{ ip: "192.0.2.1", hostnames: ["kubernetes.default", "localhost"] }];
  }, "harmless"],
  ["a port of the proxy", (pod) => first(pod).ports!.push({ containerPort: 15_806 })],
  ["a capability in small letters", (pod) => {
    first(pod).securityContext = { capabilities: { add: ["net_admin"] } };
  }],
  ["a claim of a device", (pod) => {
    (pod.spec as { resourceClaims?: unknown }).resourceClaims = [{ name: "nic", resourceClaimName: "nic" }];
  }],
  ["a pod-level limit that starves the proxy", (pod) => {
    (pod.spec as { resources?: unknown }).resources = { limits: { cpu: "1m", memory: "1Mi" } };
  }],
  ["a pod-level quantity that is none", (pod) => {
    (pod.spec as { resources?: unknown }).resources = { limits: { cpu: "-1" } };
  }],
  ["an annotation key that speaks to a terminal", (pod) => {
    pod.metadata!.annotations!["k8s.v1.cni.cncf.io/\u001b[2J\nok  all is well"] = "x";
  }],
];
