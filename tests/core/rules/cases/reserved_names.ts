import { testContainer, testPod } from "../../../support/pods.ts";
import { C, type Case, fails, passes } from "./case.ts";

/** Of rules/reserved_names.ts. */
export const names: Case[] = [
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
