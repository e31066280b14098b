import { runtimeFlags } from "../../deploy/runtime_flags.ts";
import { ROOT } from "../support/tree.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { cpuSeconds } from "./machine.ts";
import { createNamespaces, pidOf, policiesThere, setStage, type Stage } from "./setup.ts";
import { median, spread } from "./statistics.ts";
import { runJson } from "./tool.ts";

/** Numbers of loops that the bare loop is tried with. */
const WRITERS = [4, 8, 16, 32];

/** Longest time for one run, ms. */
const LIMIT_MS = 180_000;

/** One run: namespaces a second, and CPU time for each, ms. */
interface Run {
  rate: number;
  cpuMs: Record<string, number>;
}

/**
 * Offloaded namespaces from nothing to both objects in each, beside a bare loop that makes the same writes. Both run by turns, each
 * time on a new cluster; ours is timed from the start of its process, the bare loop from its first write.
 */
export async function benchConverge({ quick, log }: BenchContext): Promise<Figure[]> {
  const sizes = quick ? [1_000] : [1_000, 2_000, 5_000];
  const rounds = quick ? 1 : 3;
  const writers = await bestWriters(quick ? 300 : 1_000, log);
  const figures: Figure[] = [];
  for (const size of sizes) {
    const ours: Run[] = [], bare: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      bare.push(await runBare(size, writers));
      ours.push(await runOurs(size));
      for (const [name, runs] of Object.entries({ bare, ours })) {
        const { rate, cpuMs } = runs.at(-1)!;
        const cpu = Object.entries(cpuMs).map(([process, ms]) => `${process} ${ms.toFixed(2)}`).join(", ");
        log(`${size} namespaces, ${name}: ${rate.toFixed(0)}/s; CPU ms each: ${cpu}`);
      }
    }
    const rates = (runs: Run[]): number[] => runs.map(({ rate }) => rate);
    const share = median(rates(ours)) / median(rates(bare));
    const isTarget = size === sizes.at(-1);
    figures.push({
      name: `${size} namespaces converge: rate, and that of the bare loop with its best ${writers} writers`,
      target: isTarget ? ">= 80 % of the bare loop" : "",
      measured: `${spread(rates(ours), 0)}/s; ${spread(rates(bare), 0)}/s; ${(share * 100).toFixed(0)} %`,
      ...(isTarget ? { reached: share >= 0.8 } : {}),
    }, {
      name: `${size} namespaces converge: our CPU time for each`,
      target: "",
      measured: `${spread(ours.map(({ cpuMs }) => cpuMs["data-spacer"]!))} ms`,
    });
  }
  return figures;
}

async function bestWriters(count: number, log: (line: string) => void): Promise<number> {
  await using stage = await stoppedStage(count * WRITERS.length);
  const rates: number[] = [];
  for (const [i, writers] of WRITERS.entries()) {
    const { ms } = await bareWrites(stage, { first: i * count, count, writers });
    rates.push(count * 1_000 / ms);
    log(`Bare loop, ${writers} writers: ${rates.at(-1)!.toFixed(0)} namespaces/s`);
  }
  return WRITERS[rates.indexOf(Math.max(...rates))]!;
}

async function runBare(count: number, writers: number): Promise<Run> {
  await using stage = await stoppedStage(count);
  const cpu = await watchCpu(stage);
  const { ms } = await bareWrites(stage, { first: 0, count, writers });
  return { rate: count * 1_000 / ms, cpuMs: await cpu(count) };
}

async function runOurs(count: number): Promise<Run> {
  await using stage = await stoppedStage(count);
  const cpu = await watchCpu(stage);
  const start = performance.now();
  const starting = stage.dataSpacer.startReplica(stage.program());
  await policiesThere(stage.cluster, count + 1, LIMIT_MS);
  const ms = performance.now() - start;
  const cpuMs = await cpu(count);
  const replica = await starting;
  cpuMs["data-spacer"] = await cpuSeconds(await pidOf(replica)) * 1_000 / count;
  return { rate: count * 1_000 / ms, cpuMs };
}

/** A stage with namespaces that nobody has prepared. */
async function stoppedStage(count: number): Promise<Stage> {
  const stage = await setStage();
  await stage.dataSpacer.replica.stop();
  await createNamespaces(stage, count);
  return stage;
}

/** What the control plane uses from now on, ms for each of so many. */
async function watchCpu({ cluster }: Stage): Promise<(count: number) => Promise<Record<string, number>>> {
  const seconds = async () => {
    const all: Record<string, number> = {};
    for (const name of ["apiserver", "etcd"]) all[name] = await cpuSeconds((await cluster.processes.pid(name))!);
    return all;
  };
  const before = await seconds();
  return async (count) => {
    const after = await seconds();
    return Object.fromEntries(
      Object.entries(after).map(([name, s]) => [name, (s - before[name]!) * 1_000 / count]),
    );
  };
}

async function bareWrites(
  { cluster, dataSpacer, folder }: Stage,
  numbers: { first: number; count: number; writers: number },
): Promise<{ ms: number }> {
  await Deno.writeTextFile(`${folder}/ca.pem`, cluster.ca);
  const token = await cluster.token(dataSpacer.namespace, dataSpacer.serviceAccount);
  await Deno.writeTextFile(`${folder}/bare.token`, token, { mode: 0o600 });
  const args = Object.entries({
    server: cluster.server,
    ca: `${folder}/ca.pem`,
    token: `${folder}/bare.token`,
    ...numbers,
  });
  const script = `${ROOT}tests/bench/bare_writes.ts`;
  const command = [Deno.execPath(), "run", "--quiet", ...runtimeFlags.workstation];
  const [result] = await runJson<{ ms: number }>([...command, script, ...args.map(([k, v]) => `--${k}=${v}`)]);
  return result!;
}
