import assert from "node:assert/strict";
import { type Held, leastUseful } from "../../lib/webhook/make_room.ts";

/** Connections by source, each so many ms of no use: `{ a: [5, 7] }`. */
function held(bySource: Record<string, number[]>): Held[] {
  return Object.entries(bySource).flatMap(([source, all]) => all.map((uselessMs) => ({ source, uselessMs })));
}

Deno.test("leastUseful() chooses who makes way for one more connection", async (t) => {
  const table: [name: string, held: Record<string, number[]>, from: string, expected: string | undefined][] = [
    ["the longest useless of one source", { a: [2_000, 3_000, 1_500] }, "a", "a 3000"],
    [
      "that of the source with the most, though others are useless for longer",
      { a: [90_000], b: [1_001, 0, 0] },
      "a",
      "b 1001",
    ],
    ["of any source, if that with the most uses all of its own", { a: [1_001], b: [0, 1_000, 3] }, "b", "a 1001"],
    ["nobody, if all are in use, for one more of the source with the most", { a: [0, 1_000], b: [5] }, "a", undefined],
    ["nobody, if all are in use, for one more of as many", { a: [0, 1_000], b: [5, 5] }, "b", undefined],
    ["one in use of the source with the most, for another's", { a: [0, 1_000, 2], b: [5] }, "b", "a 1000"],
    ["one in use of the source with the most, for a stranger's", { a: [0, 1_000, 2] }, "c", "a 1000"],
    ["nobody where nobody is", {}, "a", undefined],
  ];
  for (const [name, bySource, from, expected] of table) {
    await t.step(name, () => {
      const least = leastUseful(held(bySource), from, { graceMs: 1_000 });
      assert.equal(least && `${least.source} ${least.uselessMs}`, expected);
    });
  }
});

Deno.test("leastUseful() leaves an API server its connections, however fast one other source opens its own", () => {
  let connections = held({ server: Array(12).fill(0), attacker: Array(500).fill(0) });
  for (let i = 0; i < 2_000; i++) {
    const source = i % 100 === 0 ? "server" : "attacker";
    const least = leastUseful(connections, source, { graceMs: 1_000 });
    if (source === "server") assert.equal(least?.source, "attacker");
    else assert.equal(least, undefined); // not even its own, all of which are in use
    if (least !== undefined) connections = [...connections.filter((c) => c !== least), { source, uselessMs: 0 }];
  }
  assert.equal(connections.filter(({ source }) => source === "server").length, 32);
});
