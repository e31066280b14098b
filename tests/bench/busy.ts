import type { BenchContext, Figure } from "./figure.ts";
import { Floor } from "./floor.ts";
import { createNamespaces, policiesThere, reviewFlags, setStage } from "./setup.ts";
import { median, spread } from "./statistics.ts";
import { buildTool, flagsOf, type ReviewsResult, runJson } from "./tool.ts";

/** Reviews a second while namespaces converge: more pods than any cluster starts at a time. */
const RATE = 100;

/** Reviews sent straight to a replica that brings thousands of namespaces up meanwhile. Each run on a new cluster. */
export async function benchBusy({ quick, log }: BenchContext): Promise<Figure[]> {
  const count = quick ? 500 : 5_000;
  const tool = await buildTool();
  const results: ReviewsResult[] = [];
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    const result = await run(tool, count);
    log(
      `${result.count} reviews in ${
        result.seconds.toFixed(1)
      } s: p50 ${result.p50}, p99 ${result.p99}, max ${result.max} ms`,
    );
    results.push(result);
  }
  const p99s = results.map(({ p99 }) => p99);
  return [{
    name: `Reviews at ${RATE}/s while ${count} namespaces converge: p99`,
    target: "<= 20 ms",
    measured: `${spread(p99s)} ms`,
    reached: median(p99s) <= 20,
  }, {
    name: "The same: p50; greatest",
    target: "",
    measured: `${spread(results.map(({ p50 }) => p50))}; ${spread(results.map(({ max }) => max))} ms`,
  }];
}

async function run(tool: string, count: number): Promise<ReviewsResult> {
  await using stage = await setStage();
  const floor = await Floor.start(stage, tool);
  const review = await floor.recordReview();
  await stage.cluster.processes.stop("floor", "SIGTERM");
  await stage.dataSpacer.replica.stop();
  await createNamespaces(stage, count);
  const replica = await stage.dataSpacer.startReplica(stage.program());
  const flags = await reviewFlags(stage, replica, review);
  const stop = new AbortController();
  const load = flagsOf({ ...flags, connections: 4, rate: RATE, warm: "0s", time: "300s" });
  const reviews = runJson<ReviewsResult>([tool, "reviews", ...load], stop.signal);
  await policiesThere(stage.cluster, count + 1, 180_000);
  stop.abort();
  return (await reviews)[0]!;
}
