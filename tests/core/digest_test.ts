import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalJson, digest, sha256 } from "../../lib/core/digest.ts";

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

Deno.test("digest() is the same for equal content and differs for any other, long texts included", async (t) => {
  const long = "x".repeat(2_000);
  await t.step("equal", () => {
    for (let i = 0; i < 50; i++) digest({ data: long + i }); // more than are remembered
    assert.equal(digest({ b: [long], a: 1 }), digest({ a: 1, b: [`${long.slice(1)}x`] }));
  });
  const differ: [string, unknown, unknown][] = [
    ["a long text", { data: long }, { data: `${long}x` }],
    ["one character of it", { data: long }, { data: `${long.slice(1)}y` }],
    ["its key", { data: long }, { datum: long }],
    ["a text like its hash", { data: long }, { data: `#${sha256(long)}` }],
    ["the hash by its side", [long, "a"], ["a", long]],
    ["a short text", { data: "a" }, { data: "b" }],
  ];
  for (const [name, a, b] of differ) await t.step(name, () => assert.notEqual(digest(a), digest(b)));
});
