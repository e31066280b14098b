import { testContainer, testPod } from "../../../support/pods.ts";
import { C, type Case, fails, passes } from "./case.ts";

/** Of rules/probes.ts. */
export const probes: Case[] = [
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
