import assert from "node:assert/strict";
import type { LeaseSpec } from "kubernetes-types/coordination/v1.d.ts";
import {
  leaseTerm,
  leaseTimings,
  nextLeaseStep,
  releasedLease,
  seeLease,
  type SeenLease,
} from "../../lib/core/lease.ts";

const timings = leaseTimings(10_000);
const candidate = { identity: "me", timings };
const wallMs = Date.UTC(2026, 0, 2, 3, 4, 5, 67);
const NOW = "2026-01-02T03:04:05.067000Z";
const EARLIER = "2026-01-02T03:00:00.000000Z";

function spec(changes: LeaseSpec = {}): LeaseSpec {
  return {
    holderIdentity: "other",
    leaseDurationSeconds: 10,
    acquireTime: EARLIER,
    renewTime: EARLIER,
    leaseTransitions: 3,
    ...changes,
  };
}

Deno.test("nextLeaseStep() follows the table", async (t) => {
  const taken = {
    holderIdentity: "me",
    leaseDurationSeconds: 10,
    acquireTime: NOW,
    renewTime: NOW,
    leaseTransitions: 4,
  };
  const table: [name: string, seen: Partial<SeenLease>, nowMs: number, step: unknown][] = [
    ["none there: create", { spec: {}, exists: false }, 0, { do: "create", spec: { ...taken, leaseTransitions: 0 } }],
    ["another's, fresh: look again after a while", {}, 1_000, { do: "wait", ms: 1_000 }],
    ["another's, about to run out: wait for just that", {}, 9_700, { do: "wait", ms: 300 }],
    ["another's, run out on our clock: take it", {}, 10_000, { do: "replace", spec: taken }],
    ["another's, by its own longer duration still good", { spec: spec({ leaseDurationSeconds: 60 }) }, 59_500, {
      do: "wait",
      ms: 500,
    }],
    ["another's, by its own shorter duration over", { spec: spec({ leaseDurationSeconds: 5 }) }, 5_000, {
      do: "replace",
      spec: taken,
    }],
    ["another's, without a duration: ours counts", { spec: spec({ leaseDurationSeconds: 0 }) }, 9_000, {
      do: "wait",
      ms: 1_000,
    }],
    [
      "another's, dated in the future: its clock counts for nothing",
      { spec: spec({ renewTime: "2099-01-01T00:00:00.000000Z" }) },
      10_000,
      { do: "replace", spec: taken },
    ],
    [
      "another's, dated long ago: its clock counts for nothing",
      { spec: spec({ renewTime: "1999-01-01T00:00:00.000000Z" }) },
      9_000,
      { do: "wait", ms: 1_000 },
    ],
    ["released: take it at once", { spec: spec({ holderIdentity: "" }) }, 0, { do: "replace", spec: taken }],
    ["empty: take it at once", { spec: {} }, 0, { do: "replace", spec: { ...taken, leaseTransitions: 1 } }],
    ["another's, deleted while it leads: wait", { exists: false }, 9_500, { do: "wait", ms: 500 }],
    ["another's, deleted and run out: create", { exists: false }, 10_000, {
      do: "create",
      spec: { ...taken, leaseTransitions: 3 },
    }],
    ["ours: renew, and it was acquired when it was", { spec: spec({ holderIdentity: "me" }) }, 0, {
      do: "replace",
      spec: { ...taken, acquireTime: EARLIER, leaseTransitions: 3 },
    }],
    ["ours, deleted: create", { spec: spec({ holderIdentity: "me" }), exists: false }, 0, {
      do: "create",
      spec: { ...taken, acquireTime: EARLIER, leaseTransitions: 3 },
    }],
  ];
  for (const [name, seen, nowMs, expected] of table) {
    await t.step(name, () => {
      const step = nextLeaseStep({ spec: spec(), exists: true, sinceMs: 500, ...seen }, candidate, {
        steadyMs: 500 + nowMs,
        wallMs,
      });
      assert.deepEqual(step, expected);
    });
  }
});

Deno.test("seeLease() dates a Lease by when we saw it change, and by nothing that it says", async (t) => {
  const before: SeenLease = { spec: spec(), exists: true, sinceMs: 100 };
  const table: [name: string, before: SeenLease | undefined, now: LeaseSpec | undefined, expected: SeenLease][] = [
    ["first look", undefined, spec(), { spec: spec(), exists: true, sinceMs: 900 }],
    ["first look, none there", undefined, undefined, { spec: {}, exists: false, sinceMs: 900 }],
    ["same", before, spec(), before],
    ["renewed", before, spec({ renewTime: NOW }), { spec: spec({ renewTime: NOW }), exists: true, sinceMs: 900 }],
    ["another holder", before, spec({ holderIdentity: "x" }), {
      spec: spec({ holderIdentity: "x" }),
      exists: true,
      sinceMs: 900,
    }],
    ["gone: its holder may not know yet", before, undefined, { spec: spec(), exists: false, sinceMs: 100 }],
    ["back as it was", { ...before, exists: false }, spec(), before],
  ];
  for (const [name, seen, now, expected] of table) {
    await t.step(name, () => assert.deepEqual(seeLease(seen, now, 900), expected));
  }
});

Deno.test("leaseTimings() of 10 s renews at a fifth and stops with time to spare", () => {
  assert.deepEqual(timings, { durationMs: 10_000, renewMs: 2_000, retryMs: 1_000, callMs: 3_000, stopMs: 2_000 });
  assert.deepEqual(leaseTerm(500, timings), { stopAtMs: 8_500, endsAtMs: 10_500 });
  for (const seconds of [1, 2, 3, 7, 15, 60, 3_600]) {
    const t = leaseTimings(seconds * 1_000);
    assert.ok(t.renewMs + t.callMs < t.durationMs - t.stopMs, `${seconds} s leave no time for a slow renewal`);
    assert.ok(t.renewMs >= t.durationMs / 5 && t.renewMs <= t.durationMs / 4);
  }
});

Deno.test("releasedLease() is free for the next candidate at once", () => {
  const released = releasedLease(spec({ holderIdentity: "other" }), wallMs);
  assert.deepEqual(released, spec({ holderIdentity: "", leaseDurationSeconds: 1, renewTime: NOW }));
  const step = nextLeaseStep(seeLease(undefined, released, 0), candidate, { steadyMs: 0, wallMs });
  assert.equal(step.do, "replace");
});
