import type { LeaseSpec } from "kubernetes-types/coordination/v1.d.ts";

/** How a Lease is kept; all in ms. */
export interface LeaseTimings {
  /** How long it holds without renewal. */
  durationMs: number;
  /** From one renewal to the next. */
  renewMs: number;
  /** From one look at another's Lease, or one failure, to the next. */
  retryMs: number;
  /** Longest wait for one answer of the API server. */
  callMs: number;
  /** How long before the end the leader tells its work to stop. */
  stopMs: number;
}

/**
 * Timings for a duration, whole seconds in ms. A dead leader is followed within one duration, one look and one call:
 * 10 s + 1 s + the call. A live one that gets no answer stops 6 s after the renewal that failed first.
 */
export function leaseTimings(durationMs: number): LeaseTimings {
  const part = (share: number) => Math.round(durationMs * share);
  return { durationMs, renewMs: part(0.2), retryMs: part(0.1), callMs: part(0.3), stopMs: part(0.2) };
}

/** Until when a write that was sent at `sentMs` makes us the leader, and when work has to begin to stop. */
export function leaseTerm(
  sentMs: number,
  { durationMs, stopMs }: LeaseTimings,
): { stopAtMs: number; endsAtMs: number } {
  return { stopAtMs: sentMs + durationMs - stopMs, endsAtMs: sentMs + durationMs };
}

/** What a replica knows of the Lease. */
export interface SeenLease {
  /** The last that it read of it, also after it has gone. */
  spec: LeaseSpec;
  /** It was there at the last look. */
  exists: boolean;
  /** When it was first seen with this holder and renewal, on our steady clock. */
  sinceMs: number;
}

/** What is known after another look. Another's renewal counts from when we saw it: its clock may be wrong by any amount. */
export function seeLease(before: SeenLease | undefined, spec: LeaseSpec | undefined, nowMs: number): SeenLease {
  const known = before?.spec ?? {};
  const now = spec ?? known; // one that was deleted is still believed by its holder
  const same = before !== undefined && now.holderIdentity === known.holderIdentity &&
    now.renewTime === known.renewTime && now.leaseTransitions === known.leaseTransitions;
  return { spec: now, exists: spec !== undefined, sinceMs: same ? before.sinceMs : nowMs };
}

/** A replica that wants the Lease. */
export interface Candidate {
  /** Unlike that of any other process, ever. */
  identity: string;
  timings: LeaseTimings;
}

/** Two clocks: one for decisions, one for the record. */
export interface LeaseNow {
  /** Never jumps; ms from any start. */
  steadyMs: number;
  /** Of the day, ms since 1970; only written down, for people. */
  wallMs: number;
}

/** What to do about the Lease. */
export type LeaseStep = { do: "create" | "replace"; spec: LeaseSpec } | { do: "wait"; ms: number };

/**
 * The next step of a candidate or leader: to write the Lease where it is free, ours, or has run out, else to wait and
 * look again. Only the API server's yes to the write makes a leader; a no (409, 404) says that somebody else was faster.
 */
export function nextLeaseStep(seen: SeenLease, candidate: Candidate, now: LeaseNow): LeaseStep {
  const { identity, timings } = candidate;
  const { spec, exists } = seen;
  const leftMs = heldByOtherUntil(seen, candidate) - now.steadyMs;
  if (leftMs > 0) return { do: "wait", ms: Math.min(timings.retryMs, leftMs) };
  const ours = spec.holderIdentity === identity;
  const time = microTime(now.wallMs);
  return {
    do: exists ? "replace" : "create",
    spec: {
      holderIdentity: identity,
      leaseDurationSeconds: timings.durationMs / 1_000,
      acquireTime: ours ? spec.acquireTime ?? time : time,
      renewTime: time,
      leaseTransitions: (spec.leaseTransitions ?? 0) + (ours || !exists ? 0 : 1),
    },
  };
}

/** The Lease as its holder leaves it: free at once, and short for those who look at its duration alone. */
export function releasedLease(spec: LeaseSpec, wallMs: number): LeaseSpec {
  return { ...spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: microTime(wallMs) };
}

/** The end of another's hold; -Infinity if there is none. */
function heldByOtherUntil({ spec, sinceMs }: SeenLease, { identity, timings }: Candidate): number {
  if (!spec.holderIdentity || spec.holderIdentity === identity) return -Infinity;
  const seconds = spec.leaseDurationSeconds ?? 0;
  // The holder goes by the duration that it wrote, which another version or flag may have made unlike ours.
  return sinceMs + (seconds > 0 ? seconds * 1_000 : timings.durationMs);
}

/** A MicroTime of the API: exactly six digits after the point. */
function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace("Z", "000Z");
}
