/** Names that are listed; more are counted only. */
const LISTED = 5;

/** Some names in one text: `a, b and 3 more`. */
export function someNames(names: readonly string[]): string {
  const sorted = names.toSorted();
  const more = sorted.length > LISTED ? ` and ${sorted.length - LISTED} more` : "";
  return sorted.slice(0, LISTED).join(", ") + more;
}

/** `1 pod`, `2 pods`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** Puts items of the same key together, keys in the order in which they first occur. */
export function groups<T>(items: Iterable<T>, keyOf: (item: T) => string): [string, T[]][] {
  return [...Map.groupBy(items, keyOf)];
}
