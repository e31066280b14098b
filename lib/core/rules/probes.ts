import { containerRule, emptyOrAbsent, type Rule } from "./rule.ts";

const PROBES = ["startupProbe", "livenessProbe", "readinessProbe"] as const;
const HOOKS = ["lifecycle.postStart", "lifecycle.preStop"] as const;

/** The kubelet is no client of the consumer's. */
const hosts: readonly Rule[] = [...PROBES, ...HOOKS].flatMap((action) =>
  ["httpGet.host", "tcpSocket.host"].map((host) =>
    containerRule({
      id: "probe-host",
      row: "`host` in probes and hooks (kubelet as client)",
      field: `${action}.${host}`,
      right: emptyOrAbsent,
      must: "must be left out: probes and hooks go to the pod itself",
    })
  )
);

/** The proxy accepts a connection before it knows whether the container does, so that such a probe could succeed on a closed port. */
const tcpSockets: readonly Rule[] = PROBES.map((probe) =>
  containerRule({
    id: "tcp-probe",
    row: "`tcpSocket` succeeds on a closed port too",
    field: `${probe}.tcpSocket`,
    right: (value) => value === undefined,
    must:
      "must be httpGet, grpc or exec instead: connections to the pod pass a proxy, so that opening one says nothing " +
      "about the container; an exec probe can open it from inside",
  })
);

/** What the kubelet does for the pod it does within the pod, and tells the truth about it. */
export const probeRules: readonly Rule[] = [...hosts, ...tcpSockets];
