import type { NetworkPolicySpec } from "kubernetes-types/networking/v1.d.ts";
import { labels } from "./names.ts";
import type { Settings } from "./settings.ts";

/**
 * The NetworkPolicy of an offloaded namespace: default-deny for every pod, both ways, but for allowed peers and the cluster's DNS.
 * What the API server would fill in is spelled out, so that our object equals the stored one.
 */
export function networkPolicySpec(
  settings: Pick<Settings, "dnsNamespace" | "dnsSelector" | "dnsCidrs">,
): NetworkPolicySpec {
  const allowed = { matchLabels: { [labels.netpolAllow]: "true" } };
  const peers = [{ namespaceSelector: allowed }, { podSelector: allowed }];
  const dns = {
    to: [
      {
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": settings.dnsNamespace } },
        podSelector: { matchLabels: settings.dnsSelector },
      },
      ...settings.dnsCidrs.map((cidr) => ({ ipBlock: { cidr } })),
    ],
    ports: [{ protocol: "UDP", port: 53 }, { protocol: "TCP", port: 53 }],
  };
  return {
    podSelector: {},
    policyTypes: ["Ingress", "Egress"],
    ingress: [{ from: peers }],
    egress: [{ to: peers }, dns],
  };
}
