/** Thousandths of one, by suffix, as numerator and denominator. Source: apimachinery, `resource.Quantity`. */
const SUFFIXES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  n: [1n, 10n ** 6n],
  u: [1n, 10n ** 3n],
  m: [1n, 1n],
  "": [10n ** 3n, 1n],
  k: [10n ** 6n, 1n],
  M: [10n ** 9n, 1n],
  G: [10n ** 12n, 1n],
  T: [10n ** 15n, 1n],
  P: [10n ** 18n, 1n],
  E: [10n ** 21n, 1n],
  Ki: [1_000n * 2n ** 10n, 1n],
  Mi: [1_000n * 2n ** 20n, 1n],
  Gi: [1_000n * 2n ** 30n, 1n],
  Ti: [1_000n * 2n ** 40n, 1n],
  Pi: [1_000n * 2n ** 50n, 1n],
  Ei: [1_000n * 2n ** 60n, 1n],
};

/** Digits are limited: what is longer is no resource of a pod, and costs time. */
const QUANTITY = /^\+?(\d{1,24})?(?:\.(\d{0,24}))?(?:[eE]([+-]?\d{1,2})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/** Whether a value of the API is a quantity that is not negative. */
export function isQuantity(value: unknown): value is string | number {
  if (typeof value !== "string" && typeof value !== "number") return false;
  const text = String(value);
  return QUANTITY.test(text) && /\d/.test(text.charAt(0) + text.charAt(1));
}

/**
 * Value of a Kubernetes quantity in thousandths, rounded up.
 *
 * @throws {RangeError} on text that is no quantity or negative.
 */
export function parseQuantity(text: string): bigint {
  if (!isQuantity(text)) {
    throw new RangeError(`Cannot read quantity "${text}": must be like 100m, 1.5 or 128Mi, and not negative`);
  }
  const [, whole = "", fraction = "", exponent = "0", suffix = ""] = QUANTITY.exec(text)!;
  const [by, per] = SUFFIXES[suffix]!;
  const shift = BigInt(exponent) - BigInt(fraction.length);
  const up = BigInt(whole + fraction) * by * (shift > 0n ? 10n ** shift : 1n);
  const down = per * (shift < 0n ? 10n ** -shift : 1n);
  return (up + down - 1n) / down;
}

/** A quantity as text, in the largest unit that shows it exactly. */
export function formatQuantity(thousandths: bigint): string {
  for (const unit of ["Gi", "Mi", "Ki", ""]) {
    const size = SUFFIXES[unit]![0];
    if (thousandths % size === 0n && (unit === "" || thousandths >= size)) return `${thousandths / size}${unit}`;
  }
  return `${thousandths}m`;
}

/** Sum of two quantities as text; numbers are taken as the API takes them. @throws {RangeError} if one is no quantity. */
export function addQuantities(a: string | number, b: string | number): string {
  return formatQuantity(parseQuantity(String(a)) + parseQuantity(String(b)));
}

/** Whether two quantities have the same value, however written: the API server writes `1000m` as `1`. What is no quantity equals nothing. */
export function equalQuantities(a: unknown, b: unknown): boolean {
  return isQuantity(a) && isQuantity(b) && (a === b || parseQuantity(String(a)) === parseQuantity(String(b)));
}
