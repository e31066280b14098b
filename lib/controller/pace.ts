import { sleep } from "../kube/time.ts";

/** Spreads work out evenly: each call resolves when its turn has come, `perSecond` turns in a second, none of them saved up. */
export function createPace(perSecond: number, now: () => number, wait = sleep): (signal: AbortSignal) => Promise<void> {
  const gap = 1_000 / perSecond;
  let next = 0;
  return async (signal) => {
    const at = Math.max(now(), next);
    next = at + gap;
    if (at > now()) await wait(at - now(), signal);
  };
}
