import { testContainer, testPod } from "../../../support/pods.ts";
import { C, type Case, fails, passes } from "./case.ts";

const limits = (key: string) => testPod({}, { resources: { limits: { cpu: "1", memory: "1Gi", [key]: "1" } } });

/** Of rules/scheduling.ts. */
export const scheduling: Case[] = [
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
