import { testContainer, testPod } from "../../../support/pods.ts";
import { type Case, except, fails, passes, S, security } from "./case.ts";

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

/** Of rules/security_context.ts. */
export const securityContext: Case[] = [
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
