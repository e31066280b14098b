/** What is asked of a connection before it has to make way for another. */
export interface Held {
  /** Address that it comes from. */
  readonly source: string;
  /** How long it has been of no use, ms: silent, or sending a request that is not complete. */
  readonly uselessMs: number;
}

/**
 * The connection to end for one more from `source`; undefined: rather not take that one. Whoever only holds connections must not lock an API
 * server out, whose own may come from few addresses or, behind a kube-proxy, all from one:
 *
 * 1. of the source with the most connections, the longest useless, if it is so for longer than `graceMs`;
 * 2. else the longest useless of all, if it is so for longer than `graceMs`;
 * 3. else the first again, although in use, if it is another's: no source takes what others have.
 */
export function leastUseful<C extends Held>(
  held: Iterable<C>,
  source: string,
  { graceMs }: { graceMs: number },
): C | undefined {
  const bySource = Map.groupBy(held, (connection) => connection.source);
  const own = bySource.get(source)?.length ?? 0;
  let most: C[] = [];
  for (const connections of bySource.values()) if (connections.length > most.length) most = connections;
  const first = longestUseless(most);
  if (first === undefined || first.uselessMs > graceMs) return first;
  const any = longestUseless([...bySource.values()].flat());
  if (any!.uselessMs > graceMs) return any;
  return own < most.length ? first : undefined;
}

function longestUseless<C extends Held>(held: readonly C[]): C | undefined {
  let longest = held[0];
  for (const connection of held) if (connection.uselessMs > longest!.uselessMs) longest = connection;
  return longest;
}
