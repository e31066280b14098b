import assert from "node:assert/strict";
import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import { leaderIdentity, runLeader } from "../../lib/controller/leader.ts";
import { leaseTimings } from "../../lib/core/lease.ts";
import type { CallOptions } from "../../lib/kube/calls.ts";
import { createLog } from "../../lib/ops/log.ts";
import { FakeClock, settled } from "./fake_clock.ts";
import { FakeLeaseServer, leaseClient, status } from "./fake_lease_server.ts";

const REPLICAS = 3;
const MINUTES = 5;
const SEEDS = 10;
const FOLLOWED_WITHIN_MS = 15_000;

/** What the whole cluster shares. */
class World {
  readonly clock = new FakeClock(0);
  readonly server = new FakeLeaseServer();
  readonly random: () => number;
  /** How the API server is at the moment, for all or for one replica. */
  api: { is: "well" | "slow" | "silent" | "refusing" | "failing"; for: number | "all" } = { is: "well", for: "all" };
  /** Number of the newest term that has done any work. */
  newestTerm = 0;
  terms = 0;
  writes = 0;
  lastTroubleMs = 0;
  longestGapMs = 0;
  failed: unknown;

  constructor(seed: number) {
    let state = seed;
    this.random = () => { // mulberry32
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  between(min: number, max: number): number {
    return min + this.random() * (max - min);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)]!;
  }
}

/** One process: everything that reaches it passes `enter`, so that it can stand still or die at any point. */
class Replica {
  paused = false;
  dead = false;
  working = false;
  readonly #world: World;
  readonly #index: number;
  readonly #held: (() => void)[] = [];
  readonly #stop = new AbortController();
  /** Its clocks start anywhere, and one of them runs a little fast or slow. */
  readonly #steadyOffset: number;
  readonly #rate: number;
  wallOffset: number;
  #pausedInTerm = false;

  constructor(world: World, index: number) {
    this.#world = world;
    this.#index = index;
    this.#steadyOffset = world.between(0, 1e9);
    this.#rate = world.between(0.995, 1.005);
    this.wallOffset = world.between(-1e9, 1e12);
    runLeader({
      client: leaseClient((verb, options, lease) => this.#call(verb, options, lease)),
      namespace: "data-spacer",
      name: "data-spacer",
      identity: leaderIdentity("data-spacer"),
      timings: leaseTimings(10_000),
      lead: (signal) => this.#lead(signal),
      log: createLog({ level: "error" }),
      now: () => this.#steadyOffset + world.clock.now() * this.#rate,
      wall: () => this.wallOffset + world.clock.now(),
      sleep: (ms, signal) => this.#sleep(ms, signal),
      random: world.random,
    }, this.#stop.signal).catch((error) => world.failed ??= error).finally(() => this.dead = true);
  }

  get active(): boolean {
    return !this.paused && !this.dead;
  }

  pause(): void {
    this.paused = this.#pausedInTerm = true;
  }

  /** Everything that fell due meanwhile happens now, in its order. */
  resume(): void {
    this.paused = false;
    for (const run of this.#held.splice(0)) this.#world.clock.setTimer(() => this.#enter(run), 0);
  }

  kill(): void {
    this.dead = true;
    this.working = false;
  }

  /** SIGTERM. */
  shutDown(): void {
    this.#stop.abort();
  }

  #enter(run: () => void): void {
    if (this.dead) return;
    if (this.paused) this.#held.push(run);
    else run();
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", () => {
        cancel();
        reject(signal.reason);
      }, { once: true });
      const cancel = this.#world.clock.setTimer(() => this.#enter(resolve), ms / this.#rate);
    });
  }

  /** A request takes its time to the server and back; whatever happens to the caller, one that has left may arrive. */
  #call(verb: "get" | "create" | "replace", { signal, timeoutMs }: CallOptions, lease?: Lease): Promise<Lease> {
    const { clock, server, between, random } = bind(this.#world);
    const api = () =>
      this.#world.api.for === "all" || this.#world.api.for === this.#index ? this.#world.api.is : "well";
    const latency = () => api() === "slow" ? between(0, 2_500) : random() < 0.02 ? between(0, 1_000) : between(0.5, 20);
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void, ms: number) => clock.setTimer(() => this.#enter(settle), ms);
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      answer(() => reject(status(0, "Timeout")), timeoutMs! / this.#rate);
      if (api() === "refusing") return answer(() => reject(status(0, "Network")), 1);
      clock.setTimer(() => {
        const state = api();
        if (state === "silent") return;
        const failing = state === "failing" ? random() : 1; // some fail before they are done, some after
        if (failing < 0.5) return answer(() => reject(status(500, "InternalError")), latency());
        let settle: () => void;
        try {
          const stored = server.handle(verb, lease);
          settle = () => resolve(stored);
        } catch (error) {
          settle = () => reject(error);
        }
        answer(failing < 0.8 ? () => reject(status(500, "InternalError")) : settle, latency());
      }, latency());
    });
  }

  /** Writes again and again, and takes a while to stop, as reconcilers do. */
  async #lead(signal: AbortSignal): Promise<void> {
    const world = this.#world;
    const term = ++world.terms;
    this.#pausedInTerm = false;
    this.working = true;
    const write = () => {
      if (this.active) this.#wrote(term);
    };
    while (!signal.aborted) {
      await this.#sleep(world.between(50, 400), signal).catch(() => {});
      // A request leaves in a later turn of the event loop than the timers that fell due together: an abort among them cuts it off.
      world.clock.setTimer(() => signal.aborted || write(), 0.001);
    }
    // After a standstill that outlived the Lease only an instant stop can be right.
    if (!this.#pausedInTerm) {
      const until = world.clock.now() + world.between(0, 1_800);
      while (world.clock.now() < until && this.active) {
        await this.#sleep(100);
        if (!this.#pausedInTerm) write();
      }
    }
    this.working = false;
  }

  #wrote(term: number): void {
    const world = this.#world;
    world.writes++;
    if (term < world.newestTerm) world.failed ??= new Error(`term ${term} writes in term ${world.newestTerm}`);
    world.newestTerm = Math.max(term, world.newestTerm);
  }
}

function bind(world: World) {
  return {
    clock: world.clock,
    server: world.server,
    random: world.random,
    between: (min: number, max: number) => world.between(min, max),
  };
}

/** One fault after another, with rests that let the rule about followers be seen to hold. */
async function play(world: World): Promise<void> {
  const { clock } = world;
  const replicas = Array.from({ length: REPLICAS }, (_, i) => new Replica(world, i));
  const run = async (ms: number, trouble: boolean) => {
    for (const until = clock.now() + ms; clock.now() < until;) {
      await clock.advance(Math.min(250, until - clock.now()));
      if (trouble || replicas.some((r) => r.working && r.active)) world.lastTroubleMs = clock.now();
      const gapMs = clock.now() - world.lastTroubleMs;
      world.longestGapMs = Math.max(world.longestGapMs, gapMs);
      assert.ok(gapMs <= FOLLOWED_WITHIN_MS, `nobody leads for ${gapMs} ms`);
      if (world.failed !== undefined) throw world.failed;
    }
  };
  const leader = () => replicas.findIndex((r) => r.working);
  const anyOrLeader = () => world.random() < 0.7 && leader() >= 0 ? leader() : Math.floor(world.random() * REPLICAS);
  while (clock.now() < MINUTES * 60_000) {
    await run(world.between(0, 20_000), false);
    const i = anyOrLeader();
    const replica = replicas[i]!;
    switch (world.pick(["kill", "shut down", "pause", "api", "api", "clock", "touch"] as const)) {
      case "kill":
        replica.kill();
        await run(world.random() < 0.5 ? 0 : world.between(0, 14_000), false);
        replicas[i] = new Replica(world, i);
        break;
      case "shut down":
        replica.shutDown();
        await run(world.between(0, 5_000), false);
        if (!replica.dead) await run(9_000, true);
        assert.ok(replica.dead, "did not shut down");
        replicas[i] = new Replica(world, i);
        break;
      case "pause":
        replica.pause();
        await run(world.between(10, 30_000), true);
        replica.resume();
        break;
      case "api":
        world.api = {
          is: world.pick(["slow", "silent", "refusing", "failing"]),
          for: world.random() < 0.5 ? "all" : i,
        };
        await run(world.between(100, 25_000), true);
        world.api = { is: "well", for: "all" };
        break;
      case "clock":
        replica.wallOffset = world.between(-1e11, 1e12);
        break;
      case "touch": { // by a human with kubectl
        const { lease } = world.server;
        if (lease) {
          world.server.store({ ...lease, metadata: { ...lease.metadata, annotations: { at: `${clock.now()}` } } });
        }
      }
    }
  }
  await run(30_000, false);
  for (const replica of replicas) replica.shutDown();
  await clock.advance(20_000);
  if (world.failed !== undefined) throw world.failed;
  assert.ok(replicas.every((r) => r.dead), "did not shut down");
  assert.equal(world.server.lease?.spec?.holderIdentity, "");
}

Deno.test("runLeader() of three replicas: never two work at once, and 15 s never pass without one", async (t) => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    await t.step(`seed ${seed}`, async () => {
      const world = new World(seed);
      await play(world);
      await settled();
      assert.ok(
        world.terms > 3 && world.writes > 100,
        `${world.terms} terms, ${world.writes} writes: nothing was tried`,
      );
    });
  }
});
