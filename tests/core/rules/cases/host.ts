import { testPod } from "../../../support/pods.ts";
import { annotated, C, type Case, except, fails, passes, S, security } from "./case.ts";

/** Of rules/host.ts. */
export const host: Case[] = [
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
