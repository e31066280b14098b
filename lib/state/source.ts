/** A cache that tells of its changes; an informer is one. */
export interface Source<T> {
  get(key: string): T | undefined;
  values(): Iterable<T>;
  /** Calls back after each change of the cache; returns how to end that. */
  subscribe(listener: (change: { type: "added" | "updated" | "deleted"; key: string; value: T }) => void): () => void;
}
