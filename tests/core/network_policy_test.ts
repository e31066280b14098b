import assert from "node:assert/strict";
import { networkPolicySpec } from "../../lib/core/network_policy.ts";
import { testSettings } from "../support/settings.ts";

const allowed = { matchLabels: { "data-space/netpol-allow": "true" } };
const ports = [{ protocol: "UDP", port: 53 }, { protocol: "TCP", port: 53 }];

Deno.test("networkPolicySpec() lets every pod talk to allowed peers and the cluster's DNS, and to nobody else", () => {
  assert.deepEqual(networkPolicySpec(testSettings()), {
    podSelector: {},
    policyTypes: ["Ingress", "Egress"],
    ingress: [{ from: [{ namespaceSelector: allowed }, { podSelector: allowed }] }],
    egress: [
      { to: [{ namespaceSelector: allowed }, { podSelector: allowed }] },
      {
        to: [{
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
          podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
        }],
        ports,
      },
    ],
  });
});

Deno.test("networkPolicySpec() takes another DNS, and ranges for port 53 only", () => {
  const { egress } = networkPolicySpec(testSettings({
    dnsNamespace: "dns",
    dnsSelector: { app: "coredns", tier: "dns" },
    dnsCidrs: ["169.254.20.10/32", "fd00::53/128"],
  }));
  assert.deepEqual(egress?.[1], {
    to: [
      {
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "dns" } },
        podSelector: { matchLabels: { app: "coredns", tier: "dns" } },
      },
      { ipBlock: { cidr: "169.254.20.10/32" } },
      { ipBlock: { cidr: "fd00::53/128" } },
    ],
    ports,
  });
});
