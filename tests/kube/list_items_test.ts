import assert from "node:assert/strict";
import fc from "fast-check";
import { listParts, ListSplitter } from "../../lib/kube/list_items.ts";

/** Feeds `text` in pieces of `size` characters. */
function split(text: string, size: number): { items: unknown[]; head: unknown } {
  const splitter = new ListSplitter();
  const items: unknown[] = [];
  for (let at = 0; at < text.length; at += size) {
    items.push(...splitter.push(text.slice(at, at + size)).map((item) => JSON.parse(item)));
  }
  return { items, head: splitter.end() };
}

Deno.test("ListSplitter takes any list apart as JSON.parse would, wherever it is cut", () => {
  const metadata = fc.record({ resourceVersion: fc.string(), continue: fc.string(), items: fc.jsonValue() });
  const items = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 });
  fc.assert(
    fc.property(metadata, items, fc.jsonValue(), fc.boolean(), fc.nat(3), fc.integer({ min: 1, max: 40 }), (...a) => {
      const [metadata, items, extra, itemsFirst, indent, size] = a;
      const list = itemsFirst ? { items, metadata, extra } : { kind: "List", extra, metadata, items };
      const { items: seen, head } = split(JSON.stringify(list, null, indent), size);
      // Through JSON once more: what was split was text, and -0 or __proto__ do not survive that.
      const expected = JSON.parse(JSON.stringify(list));
      assert.deepEqual(seen, expected.items);
      assert.deepEqual(head, { ...expected, items: [] });
    }),
    { numRuns: 500 },
  );
});

Deno.test("ListSplitter is not misled by keys and strings that look like the items", () => {
  const list = {
    ',"items":[{}]': ['"items":[', { items: [1] }],
    metadata: { resourceVersion: "1", items: [{ a: 1 }] },
    items: [{ text: '\\"}]{["items":[' }, { items: [{}, [[]]] }],
  };
  for (const size of [1, 3, 1000]) {
    const { items, head } = split(JSON.stringify(list), size);
    assert.deepEqual(items, list.items);
    assert.deepEqual(head, { ...list, items: [] });
  }
});

Deno.test("ListSplitter takes a list whose items are null", () => {
  assert.deepEqual(split('{"metadata":{"resourceVersion":"1"},"items":null}', 5).items, []);
});

Deno.test("ListSplitter throws SyntaxError for what is no whole list", async (t) => {
  const cases = {
    "cut within an item": '{"metadata":{"resourceVersion":"1"},"items":[{"a":1},{"b"',
    "cut after an item": '{"metadata":{"resourceVersion":"1"},"items":[{"a":1}',
    "numbers as items": '{"metadata":{"resourceVersion":"1"},"items":[1,2]}',
    "no resourceVersion": '{"metadata":{},"items":[]}',
    "no metadata": '{"items":[]}',
    "a page of HTML": "<html>[]{}</html>",
    "null": "null",
    "nothing": "",
  };
  for (const [name, text] of Object.entries(cases)) {
    await t.step(name, () => void assert.throws(() => split(text, 7), SyntaxError));
  }
  await t.step("an item that is too long", () => {
    const splitter = new ListSplitter(100);
    splitter.push('{"items":[');
    assert.throws(() => {
      for (let i = 0; i < 30; i++) splitter.push('{"a":');
    }, SyntaxError);
  });
});

Deno.test("listParts() yields items as they arrive and the head at last", async () => {
  const bytes = new TextEncoder().encode('{"metadata":{"resourceVersion":"7"},"items":[{"n":"ä"},{"n":"b"}]}');
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const byte of bytes) yield new Uint8Array([byte]);
  }
  const parts = await Array.fromAsync(listParts(body()));
  assert.deepEqual(parts, [[{ n: "ä" }], [{ n: "b" }], { metadata: { resourceVersion: "7" }, items: [] }]);
});
