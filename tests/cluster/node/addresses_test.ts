import assert from "node:assert/strict";
import { addressesOf, NUMBERS } from "./addresses.ts";

Deno.test("addressesOf() gives no two nodes anything in common", () => {
  const seen = new Set<string>();
  for (let number = 1; number <= NUMBERS; number++) {
    const { linkPrefix: _, ...addresses } = addressesOf(number);
    for (
      const text of Object.values(addresses).flatMap((value) =>
        typeof value === "string" ? value : Object.values(value)
      )
    ) {
      assert.ok(!seen.has(text), text);
      seen.add(text);
    }
  }
});

Deno.test("addressesOf() refuses numbers whose addresses would not be valid", () => {
  for (const number of [0, NUMBERS + 1, 1.5, NaN]) assert.throws(() => addressesOf(number), RangeError);
  const { pods, services, node } = addressesOf(NUMBERS);
  for (const address of [pods.v4, services.v4, node.v4]) {
    for (const part of address.replace(/\/.*/, "").split(".")) assert.ok(Number(part) < 256, address);
  }
});
