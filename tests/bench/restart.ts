import type { AuditEntry } from "../cluster/cluster.ts";
import { until } from "../cluster/processes.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { memory } from "./machine.ts";
import { createNamespaces, pidOf, policiesThere, setStage } from "./setup.ts";
import { median, spread } from "./statistics.ts";

/** How long a new leader is watched after it has looked at every namespace, ms. */
const WATCH_MS = 10_000;

/** A start where all is as it should be already, and the memory of many namespaces. */
export async function benchRestart({ quick, log }: BenchContext): Promise<Figure[]> {
  const count = quick ? 500 : 5_000;
  const rounds = quick ? 1 : 5;
  await using stage = await setStage({ audit: true });
  const { cluster, dataSpacer } = stage;
  await dataSpacer.replica.stop();
  await createNamespaces(stage, count);
  let replica = await dataSpacer.startReplica(stage.program());
  await policiesThere(cluster, count + 1, 180_000);
  const converged = await memory(await pidOf(replica));
  await pause(quick ? 5_000 : 30_000);
  const settled = await memory(await pidOf(replica));

  const ready: number[] = [], writes: number[] = [], after: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await replica.stop();
    const before = (await cluster.audit()).length;
    replica = await dataSpacer.startReplica(stage.program());
    ready.push(replica.readyMs);
    await until(async () => {
      const done = await replica.metric("data_spacer_reconciles_total", {
        controller: "namespaces",
        result: "success",
      });
      return done >= count || undefined;
    }, { ms: 60_000, what: "look at every namespace", every: 200 });
    await pause(quick ? 2_000 : WATCH_MS);
    const own = (await cluster.audit()).slice(before).filter(isWrite);
    writes.push(own.length);
    if (own.length > 0) log(`Written after the restart: ${JSON.stringify(own[0])}`);
    after.push((await memory(await pidOf(replica))).now);
    log(`Restart: ready after ${replica.readyMs.toFixed(0)} ms, ${own.length} writes, ${after.at(-1)!.toFixed(1)} MiB`);
  }
  return [
    {
      name: `Restart with ${count} converged namespaces: writes`,
      target: "0",
      measured: spread(writes, 0),
      reached: Math.max(...writes) === 0,
    },
    {
      name: `Restart with ${count} converged namespaces: ready`,
      target: "<= 3 s",
      measured: `${spread(ready.map((ms) => ms / 1_000))} s`,
      reached: median(ready) <= 3_000,
    },
    {
      name: `RSS at the end of the convergence of ${count} namespaces; peak`,
      target: "",
      measured: `${mb(converged.now)}; ${mb(converged.peak)} MB`,
    },
    {
      name: `RSS with ${count} namespaces, 30 s after they converged`,
      target: "<= 90 MB",
      ...megabytes([settled.now], 90),
    },
    { name: `RSS with ${count} namespaces, after a restart`, target: "<= 90 MB", ...megabytes(after, 90) },
  ];
}

/** Changes by Data Spacer but for the Lease, which a leader renews. */
function isWrite({ verb, userAgent, objectRef }: AuditEntry): boolean {
  return userAgent === "data-spacer" && !["get", "list", "watch"].includes(verb) && objectRef?.resource !== "leases";
}

function mb(mebibytes: number): string {
  return (mebibytes * 1.048576).toFixed(1);
}

function megabytes(mebibytes: number[], limit: number): { measured: string; reached: boolean } {
  const values = mebibytes.map((value) => value * 1.048576);
  return { measured: `${spread(values, 1)} MB`, reached: median(values) <= limit };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
