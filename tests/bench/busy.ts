import type { BenchContext, Figure } from "./figure.ts";
import { Floor } from "./floor.ts";
import { createNamespaces, ourPatch, policiesThere, reviewFlags, setStage } from "./setup.ts";
import { median, spread } from "./statistics.ts";
import { buildTool, flagsOf, type ReviewsResult, runJson } from "./tool.ts";

/** Reviews a second while namespaces converge: more pods than any cluster starts at a time. */
const RATE = 100;

/** What came out of one run: of our replica, and of the floor at the same time. */
interface Run {
  ours: ReviewsResult;
  floor: ReviewsResult;
}

/**
 * Reviews sent straight to a replica that brings thousands of namespaces up meanwhile, and as many to the floor, which has nothing
 * else to do: its times are what two full cores alone cost. Each run on a new cluster.
 */
export async function benchBusy({ quick, log }: BenchContext): Promise<Figure[]> {
  const count = quick ? 500 : 5_000;
  const tool = await buildTool();
  const runs: Run[] = [];
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    const result = await run(tool, count);
    for (const [name, { p50, p99, max, seconds }] of Object.entries(result)) {
      log(`${name}: ${seconds.toFixed(1)} s, p50 ${p50}, p99 ${p99}, max ${max} ms`);
    }
    runs.push(result);
  }
  const of = (who: keyof Run, what: "p50" | "p99" | "max") => runs.map((run) => run[who][what]);
  return [{
    name: `Reviews at ${RATE}/s while ${count} namespaces converge: p99`,
    target: "<= 20 ms",
    measured: `${spread(of("ours", "p99"))} ms`,
    reached: median(of("ours", "p99")) <= 20,
  }, {
    name: "The same: p50; greatest",
    target: "",
    measured: `${spread(of("ours", "p50"))}; ${spread(of("ours", "max"))} ms`,
  }, {
    name: "The floor at the same time: p50; p99; greatest",
    target: "",
    measured: `${spread(of("floor", "p50"))}; ${spread(of("floor", "p99"))}; ${spread(of("floor", "max"))} ms`,
  }];
}

async function run(tool: string, count: number): Promise<Run> {
  await using stage = await setStage();
  const floor = await Floor.start(stage, tool);
  const review = await floor.recordReview();
  await floor.answer(await ourPatch(stage, review, tool));
  await stage.dataSpacer.replica.stop();
  await createNamespaces(stage, count);
  const replica = await stage.dataSpacer.startReplica(stage.program());
  const stop = new AbortController();
  const load = { connections: 4, rate: RATE, warm: "0s", time: "300s" };
  const reviews = async (flags: Record<string, string>) =>
    (await runJson<ReviewsResult>([tool, "reviews", ...flagsOf({ ...flags, ...load })], stop.signal))[0]!;
  const results = Promise.all([reviews(await reviewFlags(stage, replica, review)), reviews(floor.reviewFlags())]);
  await policiesThere(stage.cluster, count + 1, 180_000);
  stop.abort();
  const [ours, floors] = await results;
  return { ours, floor: floors };
}
