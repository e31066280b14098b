import type { BenchContext, Figure } from "./figure.ts";
import { memory } from "./machine.ts";
import { pidOf, setStage } from "./setup.ts";
import { median, spread } from "./statistics.ts";

/**
 * From the start of the process to its first "ready", which means: caches synced, contract published, certificate trusted by the
 * webhook configuration, and a TLS handshake with its own port done. Warm: it has run before, so that the Secret with the
 * authority is there, as it is for every start but the very first of an installation.
 */
export async function benchStart({ quick, log }: BenchContext): Promise<Figure[]> {
  await using stage = await setStage();
  const { cluster, dataSpacer } = stage;
  await cluster.call("/api/v1/namespaces/trial-pharma", { method: "DELETE" });
  await dataSpacer.replica.stop();
  const ready: number[] = [], idle: number[] = [];
  for (let round = 0; round < (quick ? 3 : 15); round++) {
    const replica = await dataSpacer.startReplica(stage.program());
    ready.push(replica.readyMs);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    idle.push((await memory(await pidOf(replica))).now * 1.048576);
    await replica.stop();
    log(`Ready after ${replica.readyMs.toFixed(0)} ms; ${idle.at(-1)!.toFixed(1)} MB after 3 s`);
  }
  return [
    {
      name: "Start to ready, no namespace",
      target: "<= 400 ms",
      measured: `${spread(ready, 0)} ms`,
      reached: median(ready) <= 400,
    },
    {
      name: "RSS, idle, no namespace",
      target: "<= 70 MB",
      measured: `${spread(idle, 1)} MB`,
      reached: median(idle) <= 70,
    },
  ];
}
