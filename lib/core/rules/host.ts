import { injectedNames } from "../names.ts";
import {
  containerRule,
  emptyOrAbsent,
  falseOrAbsent,
  type FieldRule,
  itemRule,
  oneOf,
  podRule,
  type Rule,
} from "./rule.ts";

const row = "hostNetwork, hostPID, hostIPC, hostPort, privileged, hostPath, procMount, Windows";

const falseOr = { right: falseOrAbsent, must: "must be false or left out" };
const absent = { right: (value: unknown) => value === undefined, must: "must be left out" };
const empty = { right: emptyOrAbsent, must: "must be left out" };

/** Types that Pod Security's `baseline` admits; user and role it does not. */
const SELINUX_TYPES = ["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/** Fields of a security context that pod and container both have. */
const onBothLevels: readonly FieldRule[] = [
  {
    id: "windows",
    row,
    field: "securityContext.windowsOptions",
    right: absent.right,
    must: "must be left out: only Linux pods run here",
  },
  { id: "selinux", row: "`baseline`", field: "securityContext.seLinuxOptions.user", ...empty },
  { id: "selinux", row: "`baseline`", field: "securityContext.seLinuxOptions.role", ...empty },
];

const seLinuxType: FieldRule = {
  id: "selinux",
  row: "`baseline`",
  field: "securityContext.seLinuxOptions.type",
  right: oneOf("", ...SELINUX_TYPES),
  must: `must be one of ${SELINUX_TYPES.join(", ")}, or left out`,
};

const appArmorType: FieldRule = {
  id: "app-armor",
  row: "`baseline`",
  field: "securityContext.appArmorProfile.type",
  right: oneOf("RuntimeDefault", "Localhost"),
  must: "must be RuntimeDefault or Localhost, or left out",
};

const forOwnContainers = "or left out: it would hold for the provider's containers too; set it on your own";

/** What a pod says of all its containers holds for the provider's, too: they run under the node's defaults, and no profile of the consumer's. */
const ofThePod: readonly FieldRule[] = [
  { ...seLinuxType, right: oneOf("", SELINUX_TYPES[0]), must: `must be ${SELINUX_TYPES[0]}, ${forOwnContainers}` },
  {
    id: "selinux",
    row: "`baseline`",
    field: "securityContext.seLinuxOptions.level",
    // Two categories keep pods apart, a range of them takes in all.
    right: (value) => emptyOrAbsent(value) || /^s0(:c\d{1,4}(,c\d{1,4})?)?$/.test(String(value)),
    must: `must be of two categories at most, like s0:c1,c2, ${forOwnContainers}`,
  },
  { ...appArmorType, right: oneOf("RuntimeDefault"), must: `must be RuntimeDefault, ${forOwnContainers}` },
];

const APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/";
const OURS: readonly string[] = [`${APP_ARMOR}${injectedNames.init}`, `${APP_ARMOR}${injectedNames.proxy}`];

/** The API server makes fields of these annotations, also for our containers, and after every webhook. */
const appArmorAnnotations: Rule = {
  id: "app-armor",
  row: "values injected through annotations",
  check: (pod) =>
    Object.entries(pod.metadata?.annotations ?? {}).filter(([key, value]) =>
      key.startsWith(APP_ARMOR) && (OURS.includes(key) || !/^(runtime\/default|localhost\/.*)$/.test(value))
    ).map(([key]) => ({
      field: `metadata.annotations[${key.slice(0, 100)}]`,
      message: "must be runtime/default or localhost/<profile>, and name a container of yours, or be left out",
    })),
};

/** Keys by which container runtimes and their plugins take settings, devices among them: CRI-O, Kata, gVisor, CDI, NRI. */
const RUNTIME = /^(io\.kubernetes\.cri-o\.|io\.katacontainers\.|dev\.gvisor\.|cdi\.k8s\.io\/|([\w-]+\.)*nri\.io\/)/;

const runtimeAnnotations: Rule = {
  id: "runtime-annotations",
  row: "values injected through annotations",
  check: (pod) =>
    Object.keys(pod.metadata?.annotations ?? {}).filter((key) => RUNTIME.test(key)).map((key) => ({
      field: `metadata.annotations[${key.slice(0, 100)}]`,
      message: "must be left out: the container runtime's settings are the provider's",
    })),
};

/** The pod keeps off its node: nothing of the host is shared, nothing of the kernel is set. */
export const hostRules: readonly Rule[] = [
  podRule({ id: "host-network", row, field: "spec.hostNetwork", ...falseOr }),
  podRule({ id: "host-pid", row, field: "spec.hostPID", ...falseOr }),
  podRule({ id: "host-ipc", row, field: "spec.hostIPC", ...falseOr }),
  itemRule({
    id: "host-port",
    row,
    list: "ports",
    field: "hostPort",
    right: oneOf(0),
    must: "must be left out: the node's ports belong to the provider",
  }),
  containerRule({
    id: "proc-mount",
    row,
    field: "securityContext.procMount",
    right: oneOf("", "Default"),
    must: "must be Default or left out",
  }),
  podRule({ id: "windows", row, field: "spec.os.name", right: oneOf("linux"), must: "must be linux or left out" }),
  podRule({
    id: "share-process-namespace",
    row: "shareProcessNamespace",
    field: "spec.shareProcessNamespace",
    ...falseOr,
  }),
  podRule({ id: "sysctls", row: "sysctls", field: "spec.securityContext.sysctls", ...empty }),
  containerRule({ id: "ulimits", row: "`baseline`, 1.37", field: "securityContext.ulimits", ...absent }),
  containerRule({
    id: "cgroup-mount",
    row: "`restricted`, 1.38",
    field: "securityContext.cgroupOptions.mountMode",
    right: oneOf("ReadOnly"),
    must: "must be ReadOnly or left out",
  }),
  ...[...onBothLevels, ...ofThePod].map((rule) => podRule({ ...rule, field: `spec.${rule.field}` })),
  ...[...onBothLevels, seLinuxType, appArmorType].map(containerRule),
  appArmorAnnotations,
  runtimeAnnotations,
];
