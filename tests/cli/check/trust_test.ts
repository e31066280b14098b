import assert from "node:assert/strict";
import { webhookTrust } from "../../../lib/cli/check/trust.ts";
import { CertificateMaker } from "../../../lib/webhook/x509.ts";
import { brief, type FakeCluster, healthyCluster } from "./fake_cluster.ts";

const DAY_MS = 86_400_000;
const nowMs = Date.parse("2026-11-24T12:00:00Z");
const maker = await CertificateMaker.load();
const authority = async (days: number) => (await maker.authority({ nowMs, lifetimeMs: days * DAY_MS })).cert;
const [long, short] = await Promise.all([authority(100), authority(3)]);

const vouches = "ok: The caBundle vouches for the certificate of 10.0.0.1:8443, 10.0.0.2:8443";

Deno.test("check reads the caBundle", async (t) => {
  const garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const where = 'caBundle of MutatingWebhookConfiguration "data-spacer"';
  const table: [name: string, bundle: string, days: number, expected: string[]][] = [
    ["one authority", long, 0, [`ok: The ${where} holds 1 certificate, valid until 2027-03-04`, vouches]],
    ["two, while the authority changes", short + long, 0, [
      `ok: The ${where} holds 2 certificates, valid until 2027-03-04`,
      vouches,
    ]],
    ["one of two at its end", short + long, 5, [
      `ok: The ${where} holds 2 certificates, valid until 2027-03-04`,
      vouches,
    ]],
    ["about to end", short, 0, [`warn: The ${where} holds 1 certificate, valid until 2026-11-27`, vouches]],
    ["at its end", short, 5, [`fail: The ${where} is not valid now: 2026-11-24 to 2026-11-27`, vouches]],
    ["not yet valid", long, -5, [`fail: The ${where} is not valid now: 2026-11-24 to 2027-03-04`, vouches]],
    ["absent", "", 0, [`fail: The ${where} is missing: no pod can be created in offloaded namespaces`]],
    ["no certificate", garbage, 0, [`fail: The ${where} holds something that is no certificate`, vouches]],
    ["something beside one", long + garbage, 0, [
      `fail: The ${where} holds something that is no certificate`,
      `ok: The ${where} holds 1 certificate, valid until 2027-03-04`,
      vouches,
    ]],
  ];
  for (const [name, bundle, days, expected] of table) {
    await t.step(name, async () => {
      const cluster = await healthyCluster(bundle);
      cluster.nowMs += days * DAY_MS;
      assert.deepEqual(brief(await cluster.run(webhookTrust)), expected);
    });
  }
});

Deno.test("check shakes hands with the replicas where it reaches them", async (t) => {
  const table: [name: string, change: (cluster: FakeCluster) => void, expected: RegExp[]][] = [
    ["one shows another certificate", (c) => c.dialled["10.0.0.2"] = { kind: "untrusted", why: "UnknownIssuer" }, [
      /^ok: The caBundle vouches for the certificate of 10\.0\.0\.1:8443$/,
      /^fail: The caBundle does not vouch for the certificate of 10\.0\.0\.2:8443: UnknownIssuer$/,
    ]],
    [
      "from a workstation",
      (c) => ["1", "2"].forEach((n) => c.dialled[`10.0.0.${n}`] = { kind: "unreachable", why: "no answer" }),
      [
        /^ok: The certificate of 10\.0\.0\.1:8443, 10\.0\.0\.2:8443 cannot be seen from here \(no answer\)/,
      ],
    ],
    [
      "no endpoint is ready",
      (c) =>
        c.change(
          "EndpointSlice",
          "data-spacer-x",
          (slice) => slice.endpoints = [{ addresses: ["10.0.0.1"], conditions: { ready: false } }],
        ),
      [
        /^fail: Service "data-spacer\/data-spacer" has no ready endpoint: no pod can be created/,
      ],
    ],
    ["endpoints may not be read", (c) => c.forbidden.add("list endpointslices"), [
      /^warn: Cannot tell: "jane" may not list endpointslices\.discovery\.k8s\.io in the namespace "data-spacer"$/,
    ]],
  ];
  for (const [name, change, expected] of table) {
    await t.step(name, async () => {
      const cluster = await healthyCluster(long);
      change(cluster);
      const [, ...found] = brief(await cluster.run(webhookTrust));
      assert.equal(found.length, expected.length, found.join("\n"));
      found.forEach((text, i) => assert.match(text, expected[i]!));
    });
  }
});
