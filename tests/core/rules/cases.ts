import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { NamespacePolicy, Profile } from "../../../lib/core/namespace_policy.ts";
import { testContainer, testPod } from "../../support/pods.ts";

/** What becomes of a pod. */
export interface Case {
  name: string;
  pod: Pod;
  /** `field: beginning of the message` of each violation, in order; none: it passes. */
  refused: string[];
  /** Profiles in which it passes all the same. */
  passesIn?: Profile[];
  /** What the provider allows. */
  policy?: Partial<NamespacePolicy>;
}

const passes = (name: string, pod: Pod, policy: Partial<NamespacePolicy> = {}): Case => ({
  name,
  pod,
  refused: [],
  policy,
});
const fails = (name: string, pod: Pod, ...refused: string[]): Case => ({ name, pod, refused });
const except = (passesIn: Profile[], { ...rest }: Case): Case => ({ ...rest, passesIn });
const security = (securityContext: object) => testPod({}, { securityContext });
const annotated = (annotations: Record<string, string>): Pod => ({
  ...testPod(),
  metadata: { name: "app", annotations },
});
const C = "spec.containers[0]";
const S = `${C}.securityContext`;

const names: Case[] = [
  fails("container", testPod({}, { name: "data-space-x" }), `${C}.name: must be another name`),
  fails(
    "init container",
    testPod({ initContainers: [testContainer({ name: "data-space-x" })] }),
    "spec.initContainers[0].name: must be another name",
  ),
  passes("a name that only resembles", testPod({}, { name: "data-spaces" })),
  fails(
    "volume",
    testPod({ volumes: [{ name: "v", emptyDir: {} }, { name: "data-space-x", emptyDir: {} }] }),
    "spec.volumes[1].name: must be another name",
  ),
  fails(
    "mount of ours",
    testPod({}, { volumeMounts: [{ name: "data-space-run", mountPath: "/run/data-space" }] }),
    `${C}.volumeMounts[0].name: must be a volume of your own`,
  ),
  fails(
    "mount of ours in an init container",
    testPod({
      initContainers: [testContainer({ name: "i", volumeMounts: [{ name: "data-space-run", mountPath: "/x" }] })],
    }),
    "spec.initContainers[0].volumeMounts[0].name: must be a volume of your own",
  ),
  fails(
    "device of ours",
    testPod({}, { volumeDevices: [{ name: "data-space-run", devicePath: "/dev/x" }] }),
    `${C}.volumeDevices[0].name: must be a volume of your own`,
  ),
  fails(
    "variable out of a file of ours",
    testPod({}, {
      env: [{ name: "A" }, {
        name: "B",
        valueFrom: { fileKeyRef: { volumeName: "data-space-run", path: "a", key: "B" } },
      }],
    }),
    `${C}.env[1].valueFrom.fileKeyRef.volumeName: must be a volume of your own`,
  ),
  passes(
    "variable out of a file of its own",
    testPod({}, { env: [{ name: "A", valueFrom: { fileKeyRef: { volumeName: "mine", path: "a", key: "A" } } }] }),
  ),
];

const host: Case[] = [
  ...["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"].flatMap((field) => [
    fails(field, testPod({ [field]: true }), `spec.${field}: must be false or left out`),
    fails(`${field} of nonsense`, testPod({ [field]: "yes" }), `spec.${field}: must be false or left out`),
    passes(`${field} false`, testPod({ [field]: false })),
  ]),
  fails(
    "hostPort",
    testPod({}, { ports: [{ containerPort: 80 }, { containerPort: 81, hostPort: 81 }] }),
    `${C}.ports[1].hostPort: must be left out`,
  ),
  passes("hostPort 0", testPod({}, { ports: [{ containerPort: 80, hostPort: 0 }] })),
  fails("procMount", security({ procMount: "Unmasked" }), `${S}.procMount: must be Default`),
  passes("procMount Default", security({ procMount: "Default" })),
  fails("Windows", testPod({ os: { name: "windows" } }), "spec.os.name: must be linux"),
  passes("Linux", testPod({ os: { name: "linux" } })),
  fails(
    "HostProcess pod",
    testPod({ securityContext: { windowsOptions: { hostProcess: true } } }),
    "spec.securityContext.windowsOptions: must be left out",
  ),
  fails("HostProcess container", security({ windowsOptions: {} }), `${S}.windowsOptions: must be left out`),
  fails(
    "sysctls that Pod Security admits",
    testPod({ securityContext: { sysctls: [{ name: "net.ipv4.ping_group_range", value: "0 1" }] } }),
    "spec.securityContext.sysctls: must be left out",
  ),
  passes("no sysctls", testPod({ securityContext: { sysctls: [] } })),
  fails("ulimits", security({ ulimits: [] }), `${S}.ulimits: must be left out`),
  fails(
    "writable cgroups",
    security({ cgroupOptions: { mountMode: "Writable" } }),
    `${S}.cgroupOptions.mountMode: must be`,
  ),
  passes("read-only cgroups", security({ cgroupOptions: { mountMode: "ReadOnly" } })),
  fails("SELinux type", security({ seLinuxOptions: { type: "spc_t" } }), `${S}.seLinuxOptions.type: must be one of`),
  passes("SELinux type of containers", security({ seLinuxOptions: { type: "container_t", level: "s0:c1,c2" } })),
  fails("SELinux user", security({ seLinuxOptions: { user: "x" } }), `${S}.seLinuxOptions.user: must be left out`),
  fails("SELinux role", security({ seLinuxOptions: { role: "x" } }), `${S}.seLinuxOptions.role: must be left out`),
  fails(
    "SELinux of the pod",
    testPod({ securityContext: { seLinuxOptions: { type: "spc_t", user: "u", role: "r" } } }),
    "spec.securityContext.seLinuxOptions.user: must be left out",
    "spec.securityContext.seLinuxOptions.role: must be left out",
    "spec.securityContext.seLinuxOptions.type: must be container_t, or left out",
  ),
  fails(
    "SELinux type of the pod, and so of ours",
    testPod({ securityContext: { seLinuxOptions: { type: "container_init_t" } } }),
    "spec.securityContext.seLinuxOptions.type: must be container_t, or left out: it would hold for the provider's",
  ),
  passes("that SELinux type of a container", security({ seLinuxOptions: { type: "container_init_t" } })),
  ...["s0:c0.c1023", "s0-s0:c0.c1023", "s0:c1,c2,c3", "s1", "s0:c1\n"].map((level) =>
    fails(
      `SELinux level of the pod, and so of ours: ${level}`,
      testPod({ securityContext: { seLinuxOptions: { level } } }),
      "spec.securityContext.seLinuxOptions.level: must be of two categories at most",
    )
  ),
  ...["", "s0", "s0:c27", "s0:c27,c4"].map((level) =>
    passes(`SELinux level of the pod: ${level}`, testPod({ securityContext: { seLinuxOptions: { level } } }))
  ),
  fails("AppArmor", security({ appArmorProfile: { type: "Unconfined" } }), `${S}.appArmorProfile.type: must be`),
  passes("AppArmor default", security({ appArmorProfile: { type: "RuntimeDefault" } })),
  fails(
    "AppArmor of the pod",
    testPod({ securityContext: { appArmorProfile: { type: "Unconfined" } } }),
    "spec.securityContext.appArmorProfile.type: must be",
  ),
  fails(
    "AppArmor profile of the pod, and so of ours",
    testPod({ securityContext: { appArmorProfile: { type: "Localhost", localhostProfile: "x" } } }),
    "spec.securityContext.appArmorProfile.type: must be RuntimeDefault, or left out: it would hold for the provider's",
  ),
  passes("AppArmor default of the pod", testPod({ securityContext: { appArmorProfile: { type: "RuntimeDefault" } } })),
  passes(
    "AppArmor profile of a container",
    security({ appArmorProfile: { type: "Localhost", localhostProfile: "x" } }),
  ),
  ...["app", "data-space-proxy", "data-space-init"].map((name) => {
    const key = `container.apparmor.security.beta.kubernetes.io/${name}`;
    return fails(
      `AppArmor annotation for ${name}`,
      annotated({ [key]: "unconfined" }),
      `metadata.annotations[${key}]: must be`,
    );
  }),
  fails(
    "AppArmor annotation for one of ours, default",
    annotated({ "container.apparmor.security.beta.kubernetes.io/data-space-proxy": "localhost/x" }),
    "metadata.annotations[container.apparmor.security.beta.kubernetes.io/data-space-proxy]: must be",
  ),
  passes("AppArmor annotation", annotated({ "container.apparmor.security.beta.kubernetes.io/app": "runtime/default" })),
  ...[
    "io.kubernetes.cri-o.Devices",
    "io.katacontainers.config.hypervisor.path",
    "dev.gvisor.flag.network",
    "cdi.k8s.io/nic",
    "devices.nri.io/container.app",
  ].map((key) => fails(key, annotated({ [key]: "x" }), `metadata.annotations[${key}]: must be left out`)),
  passes("annotations of other domains", annotated({ "denri.io/x": "x", "io.kubernetes.x/y": "x" })),
  passes("own user namespace", testPod({ hostUsers: false })),
  except(
    ["root", "observed"],
    fails(
      "root in an own user namespace",
      testPod({ hostUsers: false }, { securityContext: { runAsUser: 0 } }),
      `${S}.runAsUser: must be a user id other than 0`,
      `${S}.runAsNonRoot: must be true`,
    ),
  ),
];

const rootOnly = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL"];
const never = [
  "SETPCAP",
  "SETFCAP",
  "NET_ADMIN",
  "NET_RAW",
  "SYS_ADMIN",
  "SYS_PTRACE",
  "SYS_CHROOT",
  "BPF",
  "MKNOD",
  "ALL",
  "CAP_KILL",
  "net_bind_service",
];
const adding = (name: string) => security({ capabilities: { add: [name] } });

const securityContext: Case[] = [
  except(
    ["root", "observed"],
    fails(
      "root",
      security({ runAsUser: 0, runAsNonRoot: true }),
      `${S}.runAsUser: must be a user id other than 0 (root) and 21337`,
    ),
  ),
  except(
    ["root", "observed"],
    fails(
      "root by the pod",
      testPod({ securityContext: { runAsUser: 0 } }),
      `${S}.runAsUser: must be a user id other than 0`,
      `${S}.runAsNonRoot: must be true`,
    ),
  ),
  passes(
    "root by the pod, but not in the container",
    testPod({ securityContext: { runAsUser: 0, runAsNonRoot: true } }, {
      securityContext: { runAsUser: 5 },
    }),
  ),
  except(
    ["root", "observed"],
    fails("maybe root", security({ runAsNonRoot: false }), `${S}.runAsNonRoot: must be true`),
  ),
  except(
    ["root", "observed"],
    fails(
      "root in an init container",
      testPod({
        initContainers: [testContainer({ name: "i", securityContext: { runAsUser: 0, runAsNonRoot: true } })],
      }),
      "spec.initContainers[0].securityContext.runAsUser: must be a user id",
    ),
  ),
  fails("escalation", security({ allowPrivilegeEscalation: true }), `${S}.allowPrivilegeEscalation: must be false`),
  fails("privileged", security({ privileged: true }), `${S}.privileged: must be false`),
  passes("not privileged", security({ privileged: false })),
  passes("NET_BIND_SERVICE", adding("NET_BIND_SERVICE")),
  ...rootOnly.map((name) =>
    except(["root", "observed"], fails(name, adding(name), `${S}.capabilities: must add none but NET_BIND_SERVICE`))
  ),
  ...["SETUID", "SETGID"].map((name) =>
    except(["observed"], fails(name, adding(name), `${S}.capabilities: must add none but`))
  ),
  ...never.map((name) => fails(name, adding(name), `${S}.capabilities: must add none but`)),
  fails("seccomp unconfined", security({ seccompProfile: { type: "Unconfined" } }), `${S}.seccompProfile: must be`),
  fails(
    "seccomp of the node",
    security({ seccompProfile: { type: "Localhost", localhostProfile: "x" } }),
    `${S}.seccompProfile: must be`,
  ),
  fails(
    "seccomp unconfined by the pod",
    testPod({ securityContext: { seccompProfile: { type: "Unconfined" } } }),
    `${S}.seccompProfile: must be`,
  ),
];

const projected = (source: object) =>
  testPod({ volumes: [{ name: "v", projected: { sources: [{ secret: { name: "s" } }, source] } }] });

const identity: Case[] = [
  fails("ServiceAccount", testPod({ serviceAccountName: "admin" }), "spec.serviceAccountName: must be"),
  fails("ServiceAccount by its old field", testPod({ serviceAccount: "admin" }), "spec.serviceAccount: must be"),
  passes("default ServiceAccount", testPod({ serviceAccountName: "default", serviceAccount: "default" })),
  fails("token", testPod({ automountServiceAccountToken: true }), "spec.automountServiceAccountToken: must be false"),
  fails(
    "token of nonsense",
    testPod({ automountServiceAccountToken: "false" }),
    "spec.automountServiceAccountToken: must be false",
  ),
  passes("no token", testPod({ automountServiceAccountToken: false })),
  fails(
    "projected token",
    projected({ serviceAccountToken: { path: "t" } }),
    "spec.volumes[0].projected.sources[1].serviceAccountToken: must be",
  ),
  fails(
    "projected certificate",
    projected({ podCertificate: {} }),
    "spec.volumes[0].projected.sources[1].podCertificate: must be",
  ),
  passes("other projected sources", projected({ downwardAPI: {}, configMap: { name: "c" }, clusterTrustBundle: {} })),
];

const MESH = "must not be a service mesh's";

const network: Case[] = [
  ...[
    "k8s.v1.cni.cncf.io/networks",
    "k8s.v1.cni.cncf.io/anything",
    "v1.multus-cni.io/default-network",
    "cni.projectcalico.org/ipAddrsNoIpam",
    "cni.projectcalico.org/allowedSourcePrefixes",
    "ipam.cilium.io/ip-pool",
    "ovn.kubernetes.io/ip_address",
    "k8s.ovn.org/routing-namespaces",
    "networking.gke.io/interfaces",
    // what plugins write too, but not before a pod is created
    "vpc.amazonaws.com/pod-eni",
    "k8s.ovn.org/pod-networks",
    "ovn.kubernetes.io/allocated",
    "ovn.kubernetes.io/vpc",
    "macvlan.default.kubernetes.io/ip_address",
    "storage.default.ovn.kubernetes.io/logical_switch",
    "storage.default.ovn.kubernetes.io/vip",
  ].map((key) => fails(key, annotated({ [key]: "x" }), `metadata.annotations[${key}]: must be left out`)),
  passes(
    "what plugins report",
    annotated({
      "k8s.v1.cni.cncf.io/network-status": "[]",
      "k8s.v1.cni.cncf.io/networks-status": "[]",
      "cni.projectcalico.org/podIP": "10.0.0.1/32",
      "cni.projectcalico.org/containerID": "x",
      "vpc.amazonaws.com/pod-ips": "10.0.0.1",
      "sidecar.istio.io/inject": "false",
    }),
  ),
  passes(
    "keys that look like those of Kube-OVN",
    annotated({
      "ovn.kubernetes.io/ingress_rate": "3",
      "ip_address": "x",
      "example.com/ip_address": "x",
      "kubernetes.io/vip": "x",
      "app.kubernetes.io/vpc": "x",
      "notovn.kubernetes.io/vpc": "x",
      "kubernetes.io/config.source": "api",
    }),
  ),
  ...["Default", "None", "ClusterFirstWithHostNet"].map((dnsPolicy) =>
    fails(`DNS policy ${dnsPolicy}`, testPod({ dnsPolicy }), "spec.dnsPolicy: must be ClusterFirst")
  ),
  passes(
    "DNS of the cluster",
    testPod({
      dnsPolicy: "ClusterFirst",
      dnsConfig: { searches: ["a.b"], options: [{ name: "ndots" }], nameservers: [] },
    }),
  ),
  fails(
    "name servers",
    testPod({ dnsConfig: { nameservers: ["192.0.2.53"] } }),
    "spec.dnsConfig.nameservers: must be left out",
  ),
  passes("host aliases", testPod({ hostAliases: [{ ip: "10.81.0.3", hostnames: ["kubernetes.default"] }] })),
  ...[15801, 15806, 15821, 15890].map((containerPort) =>
    fails(
      `port ${containerPort}`,
      testPod({}, { ports: [{ containerPort }] }),
      `${C}.ports[0].containerPort: must be another port than`,
    )
  ),
  passes("other ports", testPod({}, { ports: [{ containerPort: 15802 }, { containerPort: 53, protocol: "UDP" }] })),
  fails(
    "Istio inside",
    testPod({
      initContainers: [testContainer({ name: "istio-init" })],
      containers: [testContainer({ name: "istio-proxy" })],
    }),
    `spec.initContainers[0].name: ${MESH}`,
    `${C}.name: ${MESH}`,
  ),
  passes("a name that JavaScript gives a meaning", testPod({}, { name: "constructor" })),
];

const volume = (source: object) => testPod({ volumes: [{ name: "ok", emptyDir: {} }, { name: "v", ...source }] });

const volumes: Case[] = [
  ...[
    { hostPath: { path: "/" } },
    { nfs: { server: "192.0.2.1", path: "/" } },
    { iscsi: {} },
    { rbd: {} },
    { cephfs: {} },
    { csi: { driver: "nfs.csi.k8s.io" } },
    { flexVolume: {} },
    { gitRepo: {} },
    { futureVolume: {} },
    { emptyDir: {}, hostPath: { path: "/" } },
  ].map((source) => fails(Object.keys(source).join(" and "), volume(source), "spec.volumes[1]: must be one of")),
  ...[
    { configMap: { name: "c" } },
    { secret: { secretName: "s" } },
    { downwardAPI: {} },
    { emptyDir: { medium: "Memory" } },
    { persistentVolumeClaim: { claimName: "c" } },
    { ephemeral: {} },
    { image: { reference: "localhost/data:1" } },
    { emptyDir: {}, hostPath: null },
    {},
  ].map((source) => passes(Object.keys(source).join(" and ") || "no kind", volume(source))),
];

const limits = (key: string) => testPod({}, { resources: { limits: { cpu: "1", memory: "1Gi", [key]: "1" } } });

const scheduling: Case[] = [
  fails("node", testPod({ nodeName: "node-1" }), "spec.nodeName: must be left out"),
  passes(
    "scheduling that stays the scheduler's",
    testPod({ nodeSelector: { a: "b" }, affinity: {}, tolerations: [{ operator: "Exists" }] }),
  ),
  fails("priority", testPod({ priorityClassName: "system-node-critical" }), "spec.priorityClassName: must be left out"),
  passes("priority that is allowed", testPod({ priorityClassName: "low" }), { priorityClasses: ["low"] }),
  fails("runtime class", testPod({ runtimeClassName: "kata" }), "spec.runtimeClassName: must be left out"),
  {
    ...fails(
      "another runtime class than is allowed",
      testPod({ runtimeClassName: "kata" }),
      "spec.runtimeClassName: must be one of gvisor, or left out",
    ),
    policy: { runtimeClasses: ["gvisor"] },
  },
  passes("runtime class that is allowed", testPod({ runtimeClassName: "gvisor" }), { runtimeClasses: ["gvisor"] }),
  fails("claims of the pod", testPod({ resourceClaims: [{ name: "nic" }] }), "spec.resourceClaims: must be left out"),
  fails(
    "claims of pod-level resources",
    testPod({ resources: { claims: [{ name: "nic" }] } }),
    "spec.resources.claims: must be left out",
  ),
  fails(
    "claims of a container",
    testPod({}, { resources: { claims: [{ name: "nic" }] } }),
    `${C}.resources.claims: must be left out`,
  ),
  fails(
    "device",
    limits("example.com/nic"),
    `${C}.resources.limits[example.com/nic]: must be left out: the provider gives pods cpu, memory, ephemeral-storage only`,
  ),
  fails(
    "device of the pod",
    testPod({ resources: { requests: { "example.com/nic": "1" } } }),
    "spec.resources.requests[example.com/nic]: must be left out",
  ),
  passes("device that is allowed", limits("nvidia.com/gpu"), { extendedResources: ["nvidia.com/gpu"] }),
  passes("storage", limits("ephemeral-storage")),
  passes("huge pages", limits("hugepages-2Mi")),
  fails(
    "ephemeral container",
    testPod({ ephemeralContainers: [testContainer({ name: "debug" })] }),
    "spec.ephemeralContainers: must be left out",
  ),
  fails(
    "restart of the whole pod",
    testPod({}, { restartPolicyRules: [{ action: "Restart" }, { action: "RestartAllContainers" }] }),
    `${C}.restartPolicyRules[1].action: must be Restart`,
  ),
  passes("restart of the container", testPod({}, { restartPolicyRules: [{ action: "Restart", exitCodes: {} }] })),
];

const probes: Case[] = [
  ...["startupProbe", "livenessProbe", "readinessProbe"].flatMap((probe) => [
    fails(
      `${probe} elsewhere`,
      testPod({}, { [probe]: { httpGet: { host: "192.0.2.1", port: 80 } } }),
      `${C}.${probe}.httpGet.host: must be left out`,
    ),
    passes(`${probe} by TCP`, testPod({}, { [probe]: { tcpSocket: { port: 80 } } })),
    fails(
      `${probe} by TCP elsewhere`,
      testPod({}, { [probe]: { tcpSocket: { host: "192.0.2.1", port: 80 } } }),
      `${C}.${probe}.tcpSocket.host: must be left out`,
    ),
    passes(`${probe} by HTTP`, testPod({}, { [probe]: { httpGet: { path: "/", port: "web", host: "" } } })),
    passes(`${probe} by gRPC`, testPod({}, { [probe]: { grpc: { port: 80 } } })),
    passes(`${probe} by command`, testPod({}, { [probe]: { exec: { command: ["true"] } } })),
  ]),
  ...["postStart", "preStop"].flatMap((hook) => [
    fails(
      `${hook} elsewhere`,
      testPod({}, { lifecycle: { [hook]: { httpGet: { host: "192.0.2.1", port: 80 } } } }),
      `${C}.lifecycle.${hook}.httpGet.host: must be left out`,
    ),
    fails(
      `${hook} by TCP elsewhere`,
      testPod({}, { lifecycle: { [hook]: { tcpSocket: { host: "192.0.2.1", port: 80 } } } }),
      `${C}.lifecycle.${hook}.tcpSocket.host: must be left out`,
    ),
    passes(hook, testPod({}, { lifecycle: { [hook]: { httpGet: { port: 80 } } } })),
  ]),
  fails(
    "probe of a native sidecar",
    testPod({
      initContainers: [
        testContainer({ name: "i", restartPolicy: "Always", startupProbe: { tcpSocket: { host: "a", port: 1 } } }),
      ],
    }),
    "spec.initContainers[0].startupProbe.tcpSocket.host: must be left out",
  ),
];

/** Cases of all rules, by topic. */
export const cases: Readonly<Record<string, Case[]>> = {
  names,
  host,
  "security context": securityContext,
  identity,
  network,
  volumes,
  scheduling,
  probes,
};
