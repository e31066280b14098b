import { Deadline } from "../kube/time.ts";

/**
 * Runs tasks side by side until the signal is aborted. The end of one is the end of all; returns when all have ended.
 *
 * @throws what the first of them, in the order given, threw.
 */
export async function together(
  tasks: readonly ((signal: AbortSignal) => Promise<void>)[],
  signal: AbortSignal,
): Promise<void> {
  using stop = new Deadline(signal);
  const running = tasks.map((task) => Promise.resolve().then(() => task(stop.signal)).finally(() => stop.abort()));
  await Promise.allSettled(running);
  await Promise.all(running);
}
