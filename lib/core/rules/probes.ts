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

/**
 * What the kubelet does for the pod it does within the pod. A tcpSocket probe tells the truth too, although the proxy accepts before it knows
 * whether the container does: redirect.sh sends only connections to ports that somebody listens on to the proxy.
 */
export const probeRules: readonly Rule[] = hosts;
