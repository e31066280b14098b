import fc from "fast-check";

const unit = fc.oneof(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0, max: 0xffff }));

/**
 * Texts of any UTF-16 code units, halves of pairs among them, and whole pairs. fast-check's own unit "binary" takes a second to set up.
 */
export const anyText: fc.Arbitrary<string> = fc.array(fc.oneof(
  { weight: 5, arbitrary: unit.map((code) => String.fromCharCode(code)) },
  { weight: 1, arbitrary: fc.integer({ min: 0x10000, max: 0x10ffff }).map((point) => String.fromCodePoint(point)) },
)).map((parts) => parts.join(""));
