import type { BenchContext, Figure } from "./figure.ts";
import { Floor } from "./floor.ts";
import { cpuSeconds, pin } from "./machine.ts";
import { pidOf, reviewFlags, setStage, type Stage } from "./setup.ts";
import { median, spread } from "./statistics.ts";
import { buildTool, flagsOf, type ReviewsResult, runJson } from "./tool.ts";

/** Core of the program; all the rest, the load generator too, is on the other one. */
const OURS = 0;
const THEIRS = 1;

/** Reviews of Liqo's pod, sent straight to the public port over kept TLS connections, HTTP/1.1, as the API server sends them. */
export async function benchAdmission({ quick, log }: BenchContext): Promise<Figure[]> {
  const tool = await buildTool();
  await using stage = await setStage({ core: OURS });
  const floor = await Floor.start(stage, tool);
  const review = await floor.recordReview();
  await stage.cluster.processes.stop("floor", "SIGTERM");
  await pinTheRest(stage);
  const flags = await reviewFlags(stage, stage.dataSpacer.replica, review);
  const pid = await pidOf(stage.dataSpacer.replica);
  log(`A review has ${review.length} bytes, as recorded from the API server`);

  const run = async (connections: number): Promise<ReviewsResult & { cpuMs: number }> => {
    const seconds = quick ? 2 : 10;
    const before = await cpuSeconds(pid);
    const load = flagsOf({ ...flags, connections, time: `${seconds}s`, warm: quick ? "1s" : "3s" });
    const [result] = await runJson<ReviewsResult>(["taskset", "-c", `${THEIRS}`, tool, "reviews", ...load]);
    // The warm-up has its share of the time: reviews there cost the same.
    const share = result!.seconds / (result!.seconds + (quick ? 1 : 3));
    const cpuMs = (await cpuSeconds(pid) - before) * share * 1_000 / result!.count;
    log(
      `${connections} connections: ${result!.rate.toFixed(0)}/s, p50 ${result!.p50} ms, p99 ${result!.p99} ms, ` +
        `max ${result!.max} ms, ${cpuMs.toFixed(4)} ms of CPU each`,
    );
    return { ...result!, cpuMs };
  };
  type Measured = Awaited<ReturnType<typeof run>>;
  const one: Measured[] = [];
  const sixteen: Measured[] = [];
  for (let round = 0; round < (quick ? 1 : 7); round++) {
    one.push(await run(1));
    sixteen.push(await run(16));
  }
  const rates = sixteen.map(({ rate }) => rate), p99s = sixteen.map(({ p99 }) => p99);
  const cpu = sixteen.map(({ cpuMs }) => cpuMs), p50s = one.map(({ p50 }) => p50);
  return [
    {
      name: "Reviews, 1 connection: p50",
      target: "<= 0.25 ms",
      measured: `${spread(p50s, 3)} ms`,
      reached: median(p50s) <= 0.25,
    },
    {
      name: "Reviews, 1 connection: rate",
      target: "> 1,670/s",
      measured: `${spread(one.map(({ rate }) => rate), 0)}/s`,
      reached: median(one.map(({ rate }) => rate)) > 1_670,
    },
    {
      name: "Reviews, 16 connections, one core: rate",
      target: ">= 10,000/s",
      measured: `${spread(rates, 0)}/s`,
      reached: median(rates) >= 10_000,
    },
    {
      name: "Reviews, 16 connections, one core: p50",
      target: "< 4.8 ms",
      measured: `${spread(sixteen.map(({ p50 }) => p50))} ms`,
      reached: median(sixteen.map(({ p50 }) => p50)) < 4.8,
    },
    {
      name: "Reviews, 16 connections, one core: p99",
      target: "<= 3 ms",
      measured: `${spread(p99s)} ms`,
      reached: median(p99s) <= 3,
    },
    {
      name: "Reviews, 16 connections, one core: CPU each",
      target: "<= 0.1 ms",
      measured: `${spread(cpu, 3)} ms`,
      reached: median(cpu) <= 0.1,
    },
  ];
}

async function pinTheRest({ cluster }: Stage): Promise<void> {
  for (const name of ["etcd", "apiserver", "controllers"]) {
    const pid = await cluster.processes.pid(name);
    if (pid !== undefined) await pin(pid, THEIRS);
  }
}
