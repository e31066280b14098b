import assert from "node:assert/strict";
import fc from "fast-check";
import { joinAscii } from "../../lib/core/ascii.ts";
import { addition, keptAddition, move, patchBase64, type PatchOp, removal } from "../../lib/core/patch_op.ts";
import { anyText } from "../support/text_arbitrary.ts";

function decoded(ops: PatchOp[]): unknown {
  const text = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  return JSON.parse(text(Uint8Array.fromBase64(text(joinAscii(patchBase64(ops))))));
}

Deno.test("patchBase64() is the operations as JSON in base64, whichever of them are kept encoded", () => {
  const value = fc.oneof(anyText, fc.dictionary(anyText, fc.array(anyText)), fc.jsonValue({ maxDepth: 2 }));
  const op = fc.tuple(fc.constantFrom(addition, keptAddition), value)
    .map(([make, value]) => make("/spec/x", JSON.stringify(value)));
  fc.assert(fc.property(fc.array(op, { minLength: 1, maxLength: 6 }), (ops) => {
    assert.deepEqual(decoded(ops), ops.map(({ json }) => JSON.parse(json)));
  }));
});

Deno.test("patchBase64() encodes no operations as an empty patch", () => assert.deepEqual(decoded([]), []));

Deno.test("operations are those of RFC 6902", () => {
  assert.deepEqual(decoded([addition("/a", '"ü"'), removal("/b/0"), move("/c/1", "/c/0")]), [
    { op: "add", path: "/a", value: "ü" },
    { op: "remove", path: "/b/0" },
    { op: "move", from: "/c/1", path: "/c/0" },
  ]);
});
