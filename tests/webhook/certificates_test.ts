import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { checkPair } from "../../lib/webhook/certificate_source.ts";
import { isKeyOf, readCertificates } from "../../lib/webhook/certificates.ts";
import { certificates, DAY } from "./support.ts";

const now = Date.UTC(2026, 5, 1);
const HOUR = DAY / 24;

Deno.test("CertificateMaker.authority() may sign leaves, and nothing else", async () => {
  const { maker } = await certificates();
  const made = await maker.authority({ nowMs: now, lifetimeMs: 10 * DAY });
  const [certificate] = readCertificates(made.cert).certificates;
  assert.equal(certificate!.isOurs, true);
  assert.equal(certificate!.notBefore, now - HOUR);
  assert.equal(certificate!.notAfter, now + 10 * DAY);
  assert.equal(isKeyOf(made.key, certificate!), true);
  const x509 = new X509Certificate(made.cert);
  assert.equal(x509.verify(x509.publicKey), true);
  assert.match(
    Buffer.from(x509.raw).toString("hex"),
    /300f0603551d130101ff040530030101ff|30120603551d130101ff040830060101ff020100/,
  );
});

Deno.test("CertificateMaker.leaf() is for its names, and ends with its authority", async () => {
  const { maker } = await certificates();
  const ca = await maker.authority({ nowMs: now, lifetimeMs: 2 * DAY });
  const names = [`${"long".repeat(15)}.svc.cluster.local`, "10.0.0.1", "fd00::2"];
  const leaf = await maker.leaf(ca, { nowMs: now, lifetimeMs: 30 * DAY, names });
  const [certificate] = readCertificates(leaf.cert).certificates;
  assert.equal(certificate!.notAfter, now + 2 * DAY);
  assert.equal(certificate!.isOurs, false); // it must not get into a bundle
  const x509 = new X509Certificate(leaf.cert);
  assert.equal(x509.verify(new X509Certificate(ca.cert).publicKey), true);
  assert.equal(x509.checkHost(names[0]!), names[0]);
  assert.equal(x509.checkIP("fd00::2"), "fd00::2");
  assert.equal(x509.checkHost("other.svc"), undefined);
  assert.equal(createPrivateKey(leaf.key).asymmetricKeyType, "ec");
});

Deno.test("readCertificates() finds certificates, and whether there is anything else", async () => {
  const { ca, pair } = await certificates();
  const both = readCertificates(`\n${ca.cert.replaceAll("\n", "\r\n")}\n${pair.cert}\n`);
  assert.deepEqual(both.certificates.map(({ isOurs }) => isOurs), [true, false]);
  assert.equal(both.rest, false);
  assert.equal(both.certificates[0]!.pem.trim(), ca.cert.trim());
  assert.deepEqual(readCertificates(""), { certificates: [], rest: false });
  for (
    const odd of [
      `# a comment\n${ca.cert}`,
      `${ca.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      ca.cert + ca.key,
      ca.cert + ca.cert.slice(0, 200),
    ]
  ) {
    const read = readCertificates(odd);
    assert.deepEqual([read.certificates.length, read.rest], [1, true]);
  }
});

Deno.test("isKeyOf() knows a certificate's key, and nothing else", async () => {
  const { ca, pair } = await certificates();
  const [certificate] = readCertificates(pair.cert).certificates;
  assert.equal(isKeyOf(pair.key, certificate!), true);
  for (const other of [ca.key, "", "nonsense", pair.cert]) assert.equal(isKeyOf(other, certificate!), false);
});

Deno.test("checkPair() gives what a server can use, or says what is wrong", async (t) => {
  const { maker, ca } = await certificates();
  const validity = { nowMs: now, lifetimeMs: 10 * DAY };
  const leaf = await maker.leaf(ca, { ...validity, nowMs: Date.now(), names: ["hook.ns.svc", "10.0.0.1"] });
  const nowMs = Date.now();
  const use = { host: "hook.ns.svc", nowMs };

  const pair = checkPair(leaf.cert + ca.cert, leaf.key, use);
  assert.equal(pair.cert, leaf.cert + ca.cert); // the whole chain
  assert.equal(pair.notAfter, readCertificates(leaf.cert).certificates[0]!.notAfter);
  checkPair(leaf.cert, leaf.key, { ...use, host: "10.0.0.1" });

  const wrong: [string, () => unknown, { name: string; message: RegExp }][] = [
    ["another's key", () => checkPair(leaf.cert, ca.key, use), { name: "TypeError", message: /another certificate's/ }],
    ["no certificate", () => checkPair("", leaf.key, use), {
      name: "TypeError",
      message: /the certificate is not PEM/,
    }],
    ["no key", () => checkPair(leaf.cert, "x", use), { name: "TypeError", message: /the private key is not PEM/ }],
    ["another host", () => checkPair(leaf.cert, leaf.key, { ...use, host: "x.svc" }), {
      name: "RangeError",
      message: /must be for "x.svc"/,
    }],
    ["too early", () => checkPair(leaf.cert, leaf.key, { ...use, nowMs: nowMs - DAY }), {
      name: "RangeError",
      message: /valid from/,
    }],
    ["too late", () => checkPair(leaf.cert, leaf.key, { ...use, nowMs: nowMs + 99 * DAY }), {
      name: "RangeError",
      message: /valid from/,
    }],
  ];
  for (const [name, check, error] of wrong) await t.step(name, () => assert.throws(check, error));
});
