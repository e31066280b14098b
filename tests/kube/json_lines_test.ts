import assert from "node:assert/strict";
import { jsonLines, type JsonLinesOptions } from "../../lib/kube/json_lines.ts";

async function* from(pieces: Iterable<Uint8Array | string>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for (const piece of pieces) yield typeof piece === "string" ? encoder.encode(piece) : piece;
}

async function collect(pieces: Iterable<Uint8Array | string>, options?: JsonLinesOptions): Promise<unknown[]> {
  return await Array.fromAsync(jsonLines(from(pieces), options));
}

Deno.test("jsonLines() yields the value of every line", async () => {
  assert.deepEqual(await collect(['{"a":1}\n{"a":2}\n', '{"a":3}\n']), [{ a: 1 }, { a: 2 }, { a: 3 }]);
});

Deno.test("jsonLines() joins lines and characters that are split anywhere", async () => {
  const bytes = new TextEncoder().encode('{"a":"Zürich 🏥 \\n"}\n{"b":"ß"}\n');
  for (let size = 1; size <= 7; size++) {
    const pieces = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.subarray(i * size, (i + 1) * size),
    );
    assert.deepEqual(await collect(pieces), [{ a: "Zürich 🏥 \n" }, { b: "ß" }], `pieces of ${size} bytes`);
  }
});

Deno.test("jsonLines() drops a last line without its end, since it may be half of one", async () => {
  assert.deepEqual(await collect(['{"a":1}\n{"a":22', "2"]), [{ a: 1 }]);
  assert.deepEqual(await collect(["12"]), []);
});

Deno.test("jsonLines() skips empty lines and takes CRLF", async () => {
  assert.deepEqual(await collect(['\n\n{"a":1}\r\n\r\n']), [{ a: 1 }]);
});

Deno.test("jsonLines() throws SyntaxError for what is no JSON, no UTF-8 or too long", async (t) => {
  const cases: [string, (Uint8Array | string)[]][] = [
    ["not JSON", ["{a}\n"]],
    ["not UTF-8", [new Uint8Array([0x22, 0xff, 0x22, 0x0a])]],
    ["too long in one piece", ['"' + "x".repeat(50) + '"\n']],
    ["too long without an end", Array(20).fill("xxxxx")],
  ];
  for (const [name, pieces] of cases) {
    await t.step(name, () => assert.rejects(collect(pieces, { maxLine: 40 }), SyntaxError));
  }
});

Deno.test("jsonLines() reads no further than its reader and ends its source when left", async () => {
  let read = 0, closed = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield new TextEncoder().encode(`{"n":${read++}}\n`);
    } finally {
      closed = true;
    }
  }
  for await (const value of jsonLines(source())) {
    if ((value as { n: number }).n === 2) break;
  }
  assert.deepEqual({ read, closed }, { read: 3, closed: true });
});

Deno.test("jsonLines() reports all bytes, also those of unfinished lines", async () => {
  const counts: number[] = [];
  await collect(['{"a', '":1}\n', "{"], { onBytes: (count) => counts.push(count) });
  assert.deepEqual(counts, [3, 5, 1]);
});
