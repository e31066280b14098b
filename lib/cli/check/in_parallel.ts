/** Requests that are under way at the same time: quick on a large cluster, and no load on its API server. */
const AT_ONCE = 8;

/**
 * Does something for each item, a few at a time. The results are in the order of the items. After an error no more are begun; it is thrown once
 * those under way have ended, so that nothing goes on behind the caller's back.
 */
export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let failure: { error: unknown } | undefined;
  const worker = async () => {
    while (next < items.length && failure === undefined) {
      const index = next++;
      try {
        results[index] = await work(items[index]!);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  if (failure !== undefined) throw failure.error;
  return results;
}
