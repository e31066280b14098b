import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalJson, sha256 } from "../../lib/core/digest.ts";

Deno.test("canonicalJson() is the same for equal content, whatever the order of keys", async (t) => {
  const table: [unknown, string][] = [
    [{ b: 1, a: { d: [], c: null } }, '{"a":{"c":null,"d":[]},"b":1}'],
    [{ a: undefined, b: "x" }, '{"b":"x"}'],
    [[undefined, 1], "[null,1]"],
    ["ä\n", '"ä\\n"'],
    [null, "null"],
  ];
  for (const [value, text] of table) await t.step(text, () => assert.equal(canonicalJson(value), text));
});

Deno.test("canonicalJson() parses back to the value, and keeps different values apart", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)));
  }));
});

Deno.test("sha256() is that of the UTF-8 bytes", async () => {
  const text = "patients: 42, Größe: 1,80 m";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  assert.equal(sha256(text), digest.toBase64());
});
