const SUFFIXES: Record<string, bigint> = {
  "": 1_000n,
  m: 1n,
  k: 1_000_000n,
  M: 1_000_000_000n,
  G: 1_000_000_000_000n,
  T: 1_000_000_000_000_000n,
  Ki: 1_024_000n,
  Mi: 1_048_576_000n,
  Gi: 1_073_741_824_000n,
  Ti: 1_099_511_627_776_000n,
};

/**
 * Value of a Kubernetes quantity in thousandths, rounded up.
 *
 * @throws {RangeError} on text that is no quantity; exponents are not understood.
 */
export function parseQuantity(text: string): bigint {
  const [, whole, fraction = "", suffix] = /^(\d{1,18})(?:\.(\d{1,9}))?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text) ?? [];
  if (whole === undefined) throw new RangeError(`Cannot read quantity "${text}": must be like 100m, 1.5 or 128Mi`);
  const scale = 10n ** BigInt(fraction.length);
  const value = BigInt(whole + fraction) * SUFFIXES[suffix ?? ""]!;
  return (value + scale - 1n) / scale;
}

/** A quantity as text, in the largest unit that shows it exactly. */
export function formatQuantity(thousandths: bigint): string {
  for (const unit of ["Gi", "Mi", "Ki", ""]) {
    const size = SUFFIXES[unit]!;
    if (thousandths % size === 0n && (unit === "" || thousandths >= size)) return `${thousandths / size}${unit}`;
  }
  return `${thousandths}m`;
}

/** Sum of two quantities as text; numbers are taken as the API takes them. */
export function addQuantities(a: string | number, b: string | number): string {
  return formatQuantity(parseQuantity(String(a)) + parseQuantity(String(b)));
}
