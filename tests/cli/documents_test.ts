import assert from "node:assert/strict";
import { joinDocuments, readDocuments, withValue } from "../../lib/cli/documents.ts";

const values = (source: string) => readDocuments(source).map(({ value }) => value);

Deno.test("readDocuments() reads streams of YAML, of JSON, and of both, in order", async (t) => {
  const table: [name: string, source: string, expected: unknown[]][] = [
    ["one document", "a: 1\n", [{ a: 1 }]],
    ["two documents", "a: 1\n---\nb: 2\n", [{ a: 1 }, { b: 2 }]],
    ["empty documents", "---\n---\n\n---\na: 1\n---\n", [{ a: 1 }]],
    ["nothing", "", []],
    ["separators with comments, blanks, CRLF", "--- # first\r\na: 1\r\n---  \r\nb: 2\r\n", [{ a: 1 }, { b: 2 }]],
    ["a value behind the separator", "--- {a: 1}\n--- b\n", [{ a: 1 }, "b"]],
    ["dashes that separate nothing", "a: |\n  ---\n  x\nb: ---x\n", [{ a: "---\nx\n", b: "---x" }]],
    ["a byte order mark", "\uFEFFa: 1\n", [{ a: 1 }]],
    ["JSON", '{"a": 1}\n', [{ a: 1 }]],
    ["concatenated JSON", '{"a": "}{"}{"b": "\\"}"}\n\n{"c": {}}\n', [{ a: "}{" }, { b: '"}' }, { c: {} }]],
    ["JSON and YAML", '{"a": 1}\n---\nb: 2\n---\n{"c": 3}{"d": 4}', [{ a: 1 }, { b: 2 }, { c: 3 }, { d: 4 }]],
    ["a flow mapping is YAML", "{a: 1, b: 'x}'}\n", [{ a: 1, b: "x}" }]],
    ["a comment alone", "# only words\n", [undefined]],
    ["anchors and merges", "x: &x {q: 1}\nz: {<<: *x, r: 2}\n", [{ x: { q: 1 }, z: { q: 1, r: 2 } }]],
  ];
  for (const [name, source, expected] of table) {
    await t.step(name, () => assert.deepEqual(values(source), expected));
  }
});

Deno.test("readDocuments() reads scalars as kubectl does", () => {
  const source = "mode: 0644\nyes: on\ntime: 22:22\nday: 2001-01-01\nbig: 1_000\n";
  assert.deepEqual(values(source), [{ mode: 420, true: true, time: "22:22", day: "2001-01-01", big: 1000 }]);
});

Deno.test("readDocuments() names the document that it cannot read", async (t) => {
  const table: [name: string, source: string, message: RegExp][] = [
    ["indentation", "a: 1\n---\n\tb: 2\n", /^document 2: Tabs are not allowed/],
    ["a key twice", "a: 1\na: 2\n", /^document 1: Map keys must be unique/],
    ["an alias of nothing", "a: *b\n", /^document 1: Unresolved alias/],
    ["JSON cut off", '{"a": {"b": 1}', /^document 1: /],
    ["a bomb of aliases", bomb(), /^document 1: Excessive alias count/],
  ];
  for (const [name, source, message] of table) {
    await t.step(name, () => assert.throws(() => readDocuments(source), { name: "SyntaxError", message }));
  }
});

function bomb(): string {
  const line = (i: number) => `a${i}: &a${i} [${Array(9).fill(i === 0 ? "x" : `*a${i - 1}`).join(",")}]`;
  return Array.from({ length: 9 }, (_, i) => line(i)).join("\n");
}

Deno.test("joinDocuments() gives back the text of documents that nobody changed", async (t) => {
  const kept = "# c\na:   yes # odd\nb: |+\n  x\n\n\n";
  await t.step("YAML", () => assert.equal(joinDocuments(readDocuments(`${kept}---\nc: 1`)), `${kept}---\nc: 1\n`));
  await t.step("JSON alone stays JSON", () => {
    assert.equal(joinDocuments(readDocuments('{"a":1} {"b":2}')), '{"a":1}\n{"b":2}\n');
  });
  await t.step("JSON behind a byte order mark", () => {
    assert.equal(joinDocuments(readDocuments('\uFEFF{"a":1}{"b":2}')), '{"a":1}\n{"b":2}\n');
  });
  await t.step("YAML behind a byte order mark", () => {
    assert.equal(joinDocuments(readDocuments("\uFEFF---\na: 1\n---\nb: 2\n")), "a: 1\n---\nb: 2\n");
  });
  await t.step("JSON in YAML stays itself", () => {
    assert.equal(joinDocuments(readDocuments('{"a":1}\n---\nb:  2\n')), '{"a":1}\n---\nb:  2\n');
  });
  await t.step("none", () => assert.equal(joinDocuments([]), ""));
});

Deno.test("withValue() writes text that readers of YAML 1.1 and 1.2 and of JSON take for the same", () => {
  const value = { a: "yes", b: "0644", c: "22:22", d: "2001-01-01", e: "0o17", f: "y", g: "1e3", h: "null", i: "a\nb" };
  const [yaml, json] = readDocuments('x: 1\n---\n{"x": 1}\n').map((document) => withValue(document, value));
  assert.deepEqual(values(yaml!.text), [value]);
  assert.match(yaml!.text, /^a: "yes"$/m);
  assert.match(yaml!.text, /^e: "0o17"$/m);
  assert.deepEqual(JSON.parse(json!.text), value);
});
