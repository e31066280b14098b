import assert from "node:assert/strict";
import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import { type LeaderOptions, runLeader } from "../../lib/controller/leader.ts";
import { leaseTimings } from "../../lib/core/lease.ts";
import { createLog } from "../../lib/ops/log.ts";
import { FakeClock } from "./fake_clock.ts";
import { FakeLeaseServer, leaseClient } from "./fake_lease_server.ts";

type Verb = "get" | "create" | "replace";

/** One replica against a Lease server on a fake clock. `fault` may throw, or wait, before or after the server acts. */
export function start(options: Partial<LeaderOptions> = {}, server = new FakeLeaseServer(), clock = new FakeClock()) {
  const stop = new AbortController();
  const events: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const calls: { verb: Verb; at: number; object: Lease | undefined }[] = [];
  const faults = {
    before: (_verb: Verb): void | Promise<void> => {},
    after: (_verb: Verb): void | Promise<void> => {},
  };
  const at = () => clock.now() - 1_000;
  const running = runLeader({
    client: leaseClient(async (verb, { signal, timeoutMs, retries }, object) => {
      assert.deepEqual([timeoutMs, retries], [3_000, 0]);
      calls.push({ verb, at: at(), object });
      const cut = new Promise<never>((_, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      cut.catch(() => {});
      return await Promise.race([
        cut,
        (async () => {
          await faults.before(verb);
          const answer = server.handle(verb, object);
          await faults.after(verb);
          return answer;
        })(),
      ]);
    }),
    namespace: "data-spacer",
    name: "data-spacer",
    identity: "me",
    timings: leaseTimings(10_000),
    lead: async (signal) => {
      events.push(`${at()} start`);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      events.push(`${at()} stop`);
    },
    log: createLog({ level: "debug", write: (line) => lines.push(JSON.parse(line)) }),
    now: clock.now,
    wall: () => 1_700_000_000_000 + clock.now(),
    sleep: clock.sleep,
    random: () => 0,
    ...options,
  }, stop.signal);
  running.catch(() => {});
  return {
    clock,
    server,
    events,
    lines,
    calls,
    faults,
    running,
    at,
    stop: () => stop.abort(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      assert.equal(clock.pending, 0, "a timer is left");
    },
  };
}

export function heldBy(holderIdentity: string, renewTime = "2026-01-01T00:00:00.000000Z"): Lease {
  return {
    metadata: { name: "data-spacer", namespace: "data-spacer", labels: { kept: "yes" } },
    spec: { holderIdentity, leaseDurationSeconds: 10, renewTime, acquireTime: renewTime, leaseTransitions: 7 },
  };
}

export const never = () => new Promise<void>(() => {});
