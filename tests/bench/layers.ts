import { runtimeFlags } from "../../deploy/runtime_flags.ts";
import { freePort } from "../cluster/network.ts";
import { Authority } from "../cluster/pki.ts";
import { ROOT } from "../support/tree.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { Floor } from "./floor.ts";
import { cpuSeconds } from "./machine.ts";
import { setStage } from "./setup.ts";
import { spread } from "./statistics.ts";
import { buildTool, flagsOf, type ReviewsResult, runJson } from "./tool.ts";

/** What answers, from the least to all: a constant from Go, the same from `Deno.serve`, our front before it, the real review. */
const LAYERS = {
  floor: "Go, constant",
  runtime: "Deno.serve, constant",
  front: "with the front",
  review: "with the review",
};

/** Reviews a second at which the caches of the core are cold. */
const SLOW = 50;

/**
 * Where the time of a review goes: the same requests to servers with one layer more each. Each is on a core of its own, like the
 * program in admission.ts.
 */
export async function benchLayers({ quick, log }: BenchContext): Promise<Figure[]> {
  const tool = await buildTool();
  await using stage = await setStage();
  const { cluster: { processes, webhookAddress }, folder } = stage;
  const floor = await Floor.start(stage, tool);
  await Deno.writeTextFile(`${folder}/review.json`, await floor.recordReview());
  await processes.stop("floor", "SIGTERM");
  await stage.dataSpacer.replica.stop();
  const authority = await Authority.create();
  const { cert, key } = await authority.issue({ name: "layers", hosts: [webhookAddress] });
  const files = { "layers.pem": cert, "layers.key": key, "layers-ca.pem": authority.ca };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o600 });
  }

  const measured = new Map(Object.keys(LAYERS).map((layer) => [layer, { cpu: [] as number[], slow: [] as number[] }]));
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    for (const [layer, { cpu, slow }] of measured) {
      const port = freePort();
      const name = `layer-${layer}-${round}`;
      const program = layer === "floor"
        ? [
          tool,
          "floor",
          `-listen=${webhookAddress}:${port}`,
          `-cert=${folder}/layers.pem`,
          `-key=${folder}/layers.key`,
          `-patch=${"bench000".repeat(1_400)}`,
        ]
        : [
          Deno.execPath(),
          "run",
          "--quiet",
          ...runtimeFlags.workstation,
          `${ROOT}tests/bench/layer_server.ts`,
          layer,
          webhookAddress,
          `${port}`,
          folder,
        ];
      const pid = await processes.start(name, { command: ["taskset", "-c", "0", ...program] });
      await listening(webhookAddress, port);
      const run = async (flags: Record<string, string | number>): Promise<ReviewsResult> => {
        const target = {
          url: `https://${webhookAddress}:${port}/mutate/pod`,
          ca: `${folder}/layers-ca.pem`,
          body: `${folder}/review.json`,
        };
        return (await runJson<ReviewsResult>([
          "taskset",
          "-c",
          "1",
          tool,
          "reviews",
          ...flagsOf({ ...target, ...flags }),
        ]))[0]!;
      };
      await run({ connections: 16, count: quick ? 2_000 : 20_000 });
      const before = await cpuSeconds(pid);
      const { count } = await run({ connections: 16, time: quick ? "1s" : "4s", warm: "0s" });
      cpu.push((await cpuSeconds(pid) - before) * 1e6 / count);
      slow.push((await run({ connections: 1, rate: SLOW, time: quick ? "1s" : "4s", warm: "0s" })).p50);
      log(
        `${LAYERS[layer as keyof typeof LAYERS]}: ${cpu.at(-1)!.toFixed(0)} us of CPU, p50 at ${SLOW}/s ${
          slow.at(-1)
        } ms`,
      );
      await processes.stop(name, "SIGKILL");
    }
  }
  return [...measured].map(([layer, { cpu, slow }]) => ({
    name: `${LAYERS[layer as keyof typeof LAYERS]}: CPU each at 16 connections; p50 at ${SLOW}/s`,
    target: "",
    measured: `${spread(cpu, 0)} µs; ${spread(slow)} ms`,
  }));
}

/** Waits until somebody listens there. */
async function listening(hostname: string, port: number): Promise<void> {
  for (const start = performance.now();;) {
    try {
      return (await Deno.connect({ hostname, port })).close();
    } catch (error) {
      if (performance.now() - start > 10_000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
