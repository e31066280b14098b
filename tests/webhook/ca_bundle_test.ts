import assert from "node:assert/strict";
import { bundleFacts, bundlePatch, projectBundles, readBundles, SinceWhen } from "../../lib/webhook/ca_bundle.ts";
import { readCertificates } from "../../lib/webhook/certificates.ts";
import { certificates, DAY } from "./support.ts";

const { maker, ca, pair } = await certificates();
const other = await maker.authority({ nowMs: Date.now(), lifetimeMs: DAY });
const idOf = (pem: string) => readCertificates(pem).certificates[0]!.id;
const read = (bundles: string[], expected: string[]) => {
  const { trusted, surplus } = readBundles({ resourceVersion: "1", bundles }, new Set(expected));
  return { trusted: trusted.map(({ id }) => id), surplus };
};

Deno.test("readBundles() trusts what is in every webhook's bundle, and reports what should not be there", () => {
  const [a, b] = [idOf(ca.cert), idOf(other.cert)];
  assert.deepEqual(read([ca.cert], [a]), { trusted: [a], surplus: false });
  assert.deepEqual(read([ca.cert + other.cert, other.cert], [a, b]), { trusted: [b], surplus: false });
  assert.deepEqual(read([ca.cert, ""], [a]), { trusted: [], surplus: false });
  assert.deepEqual(read([ca.cert, ca.cert + other.cert], [a]), { trusted: [a], surplus: true });
  assert.deepEqual(read([ca.cert + pair.cert], [a]), { trusted: [a], surplus: true });
  assert.deepEqual(read([`${ca.cert}hello`], [a]), { trusted: [a], surplus: true });
});

Deno.test("projectBundles() reads what a manifest left out, and what is no base64", () => {
  const clientConfig = { url: "https://x" };
  const webhooks = [{ clientConfig }, { clientConfig: { ...clientConfig, caBundle: "%" } }, {
    clientConfig: { ...clientConfig, caBundle: btoa(ca.cert) },
  }];
  const common = { name: "x", sideEffects: "None", admissionReviewVersions: ["v1"] };
  const projected = projectBundles({
    metadata: { resourceVersion: "7" },
    webhooks: webhooks.map((w) => ({ ...common, ...w })),
  });
  assert.deepEqual(projected, { resourceVersion: "7", bundles: ["", "not base64", ca.cert] });
  assert.deepEqual(projectBundles({}).bundles, []);
});

Deno.test("bundlePatch() sets every bundle, of the version that was seen", () => {
  const value = btoa(ca.cert + other.cert);
  assert.deepEqual(bundlePatch({ resourceVersion: "7", bundles: ["", "x"] }, [ca.cert, other.cert]), [
    { op: "test", path: "/metadata/resourceVersion", value: "7" },
    { op: "add", path: "/webhooks/0/clientConfig/caBundle", value },
    { op: "add", path: "/webhooks/1/clientConfig/caBundle", value },
  ]);
});

Deno.test("bundleFacts() tells for how long something has been there without a break", () => {
  const since = new SinceWhen();
  const facts = (bundle: string, steadyMs: number) => {
    const content = readBundles({ resourceVersion: "1", bundles: [bundle] }, new Set([idOf(ca.cert)]));
    const { trusted, surplusMs } = bundleFacts(content, since, steadyMs);
    return [...trusted.map(({ sinceMs }) => sinceMs), `surplus ${surplusMs}`];
  };
  assert.deepEqual(facts(ca.cert, 100), [0, "surplus undefined"]);
  assert.deepEqual(facts(ca.cert + other.cert, 150), [50, 0, "surplus 0"]);
  assert.deepEqual(facts(ca.cert + other.cert, 175), [75, 25, "surplus 25"]);
  assert.deepEqual(facts(other.cert, 200), [50, "surplus 50"]);
  assert.deepEqual(facts(ca.cert, 300), [0, "surplus undefined"]);
});
