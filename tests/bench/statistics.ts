/** The value that the share `q` of all lies below, by nearest rank; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** `median [least, greatest]`; of ten values or more the tenth and the ninetieth percentile stand for least and greatest. */
export function spread(values: readonly number[], digits = 2): string {
  const [low, high] = values.length < 10 ? [0, 1] : [0.1, 0.9];
  const text = (value: number): string => value.toFixed(digits);
  return `${text(median(values))} [${text(quantile(values, low))}, ${text(quantile(values, high))}]`;
}
