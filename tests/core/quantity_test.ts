import assert from "node:assert/strict";
import fc from "fast-check";
import { addQuantities, equalQuantities, formatQuantity, isQuantity, parseQuantity } from "../../lib/core/quantity.ts";

Deno.test("parseQuantity() reads every form that the API has, in thousandths, rounded up", async (t) => {
  const table: [string, bigint][] = [
    ["0", 0n],
    ["100m", 100n],
    ["1.5", 1_500n],
    [".5", 500n],
    ["5.", 5_000n],
    ["+1", 1_000n],
    ["1n", 1n],
    ["1500u", 2n],
    ["1k", 1_000_000n],
    ["1Ki", 1_024_000n],
    ["1.5Gi", 1_610_612_736_000n],
    ["1E", 10n ** 21n],
    ["1E3", 1_000_000n],
    ["1e-3", 1n],
    ["12e6", 12_000_000_000n],
    ["1Ei", 1_000n * 2n ** 60n],
  ];
  for (const [text, value] of table) await t.step(text, () => assert.equal(parseQuantity(text), value));
});

Deno.test("parseQuantity() refuses what is no quantity, and what would take long", async (t) => {
  for (const text of ["", ".", "m", "+", ".m", "-1", "1 ", " 1", "1kk", "0x1", "1e", "1e999", "1".repeat(25), "NaN"]) {
    await t.step(`"${text}"`, () => {
      assert.equal(isQuantity(text), false);
      assert.throws(() => parseQuantity(text), { name: "RangeError", message: /^Cannot read quantity/ });
    });
  }
});

Deno.test("formatQuantity() gives back the value that it was given", () => {
  fc.assert(fc.property(fc.bigInt(0n, 10n ** 20n), (value) => parseQuantity(formatQuantity(value)) === value));
});

Deno.test("addQuantities() adds in the unit that shows the sum", async (t) => {
  const table: [string | number, string | number, string][] = [
    ["100m", "200m", "300m"],
    ["900m", "100m", "1"],
    ["64Mi", "192Mi", "256Mi"],
    ["512Mi", "512Mi", "1Gi"],
    ["1G", "192Mi", "1201326592"],
    [0.5, 1, "1500m"],
    ["1e3", "24", "1Ki"],
  ];
  for (const [a, b, sum] of table) await t.step(`${a} + ${b}`, () => assert.equal(addQuantities(a, b), sum));
});

Deno.test("equalQuantities() compares by value, and nothing equals what is no quantity", async (t) => {
  const table: [unknown, unknown, boolean][] = [
    ["1000m", "1", true],
    ["0.5", "500m", true],
    [1, "1", true],
    ["1024Mi", "1Gi", true],
    ["1G", "1Gi", false],
    ["x", "x", false],
    [undefined, undefined, false],
    [null, "0", false],
    [["1"], "1", false],
  ];
  for (const [a, b, equal] of table) {
    await t.step(`${JSON.stringify(a)} ${JSON.stringify(b)}`, () => assert.equal(equalQuantities(a, b), equal));
  }
});
