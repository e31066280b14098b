import { runtimeFlags } from "../../deploy/runtime_flags.ts";
import { ROOT } from "../support/tree.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { Floor } from "./floor.ts";
import { memory } from "./machine.ts";
import { pidOf, reviewFlags, setStage } from "./setup.ts";
import { median } from "./statistics.ts";
import { buildTool, flagsOf, type ReviewsResult, runJson } from "./tool.ts";

/** Parts that a run is made of; memory is looked at after each. */
const PARTS = 10;

/** More than this between the second and the last fifth of a run is growth, MB: what the collector leaves varies by as much. */
const NOISE_MB = 3;

/** Memory over a million reviews, and over ten thousand restarts of watches. */
export async function benchGrowth({ quick, log }: BenchContext): Promise<Figure[]> {
  const reviews = await overReviews(quick ? 20_000 : 1_000_000);
  log(`MB over the reviews: ${reviews.map((mb) => mb.toFixed(1)).join(" ")}`);
  const restarts = await overRestarts(quick ? 500 : 10_000);
  log(`MB over the restarts: ${restarts.map((mb) => mb.toFixed(1)).join(" ")}`);
  return [
    growth(`RSS over ${quick ? "20,000" : "1,000,000"} reviews`, reviews),
    growth(`RSS over ${quick ? "500" : "10,000"} restarts of watches, with a scripted server`, restarts),
  ];
}

function growth(name: string, values: readonly number[]): Figure {
  const fifth = values.length / 5;
  const early = median(values.slice(fifth, 2 * fifth));
  const late = median(values.slice(-fifth));
  return {
    name,
    target: "no growth",
    measured: `${early.toFixed(1)} -> ${late.toFixed(1)} MB`,
    reached: late - early <= NOISE_MB,
  };
}

async function overReviews(count: number): Promise<number[]> {
  const tool = await buildTool();
  await using stage = await setStage();
  const floor = await Floor.start(stage, tool);
  const review = await floor.recordReview();
  const { replica } = stage.dataSpacer;
  const flags = await reviewFlags(stage, replica, review);
  const pid = await pidOf(replica);
  const values: number[] = [];
  for (let part = 0; part < PARTS; part++) {
    await runJson<ReviewsResult>([tool, "reviews", ...flagsOf({ ...flags, connections: 16, count: count / PARTS })]);
    values.push((await memory(pid)).now * 1.048576);
  }
  return values;
}

/** The caches of a replica in a process of their own, whose server ends each watch at once. */
async function overRestarts(count: number): Promise<number[]> {
  const command = [Deno.execPath(), "run", "--quiet", ...runtimeFlags.workstation];
  const script = `${ROOT}tests/bench/restarting_watches.ts`;
  const values = await runJson<{ rss: number }>([...command, script, `${count}`, `${PARTS}`]);
  return values.map(({ rss }) => rss / 1e6);
}
