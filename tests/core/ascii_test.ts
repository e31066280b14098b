import assert from "node:assert/strict";
import fc from "fast-check";
import { asciiJson, joinAscii } from "../../lib/core/ascii.ts";
import { anyText } from "../support/text_arbitrary.ts";

Deno.test("asciiJson() is ASCII and says the same", () => {
  fc.assert(fc.property(anyText, (value) => {
    const json = asciiJson(JSON.stringify(value));
    assert.match(json, /^[\0-\x7f]*$/);
    assert.equal(JSON.parse(json), value);
  }));
});

Deno.test("joinAscii() strings parts together, bytes or not", () => {
  const part = fc.oneof(fc.string(), fc.string().map((s) => new TextEncoder().encode(s)));
  fc.assert(fc.property(fc.array(part), (parts) => {
    const expected = parts.map((p) => typeof p === "string" ? p : new TextDecoder().decode(p)).join("");
    assert.equal(new TextDecoder().decode(joinAscii(parts)), expected);
  }));
});
