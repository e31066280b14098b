import assert from "node:assert/strict";
import fc from "fast-check";
import { HOUR, MINUTE, SECOND, Simulation, timings } from "./certificate_simulation.ts";

/** A seed becomes numbers in [0, 1). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => { // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ state >>> 15, state | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

/** After faults: an authority's change may be under way, and what is to be dropped has its time. */
const CALM_MS = timings.leafMs + 4 * HOUR;

Deno.test("replicas keep every leaf in service trusted through two authorities' lives", () => {
  const simulation = new Simulation(randomOf(1), 3);
  simulation.runUntil(30 * HOUR);
  assert.deepEqual(simulation.unsettled(), []);
  const stores = simulation.log.filter((line) => line.includes("stores"));
  assert.equal(stores.filter((line) => line.includes("absent")).length, 1); // replicas that start at once agree
  assert.equal(stores.filter((line) => line.includes("renewal")).length, 3);
  assert.equal(stores.filter((line) => line.includes("promotion")).length, 3);
});

Deno.test("replicas write nothing while nothing is due", () => {
  const simulation = new Simulation(randomOf(2), 3);
  simulation.runUntil(10 * MINUTE);
  const { writes } = simulation;
  assert.ok(writes >= 2 && writes <= 3, `${writes} writes`);
  simulation.runUntil(7 * HOUR);
  assert.equal(simulation.writes, writes);
});

Deno.test("replicas keep every leaf in service trusted after any faults, and settle", () => {
  const faults = fc.array(
    fc.record({ kind: fc.nat(10), afterMs: fc.oneof(fc.nat(5 * SECOND), fc.nat(3 * MINUTE), fc.nat(6 * HOUR)) }),
    {
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 4 }), faults, (seed, replicas, faults) => {
      const simulation = new Simulation(randomOf(seed), replicas);
      for (const { kind, afterMs } of faults) {
        simulation.runUntil(simulation.now + afterMs);
        simulation.fault(kind);
      }
      simulation.runUntil(simulation.now + CALM_MS);
      const before = simulation.unsettled();
      simulation.runUntil(simulation.now + 10 * MINUTE); // a change that was under way just then
      if (before.length > 0) assert.deepEqual(simulation.unsettled(), [], simulation.log.slice(-30).join("\n"));
      assert.ok(
        simulation.writes < 20 + 12 * faults.length,
        `${simulation.writes} writes\n${simulation.log.slice(-60).join("\n")}`,
      );
    }),
    { numRuns: Number(Deno.env.get("CERTIFICATE_RUNS") ?? 100) }, // thousands when the plan changes
  );
});
