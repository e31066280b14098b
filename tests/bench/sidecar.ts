import { proxyArgs } from "../../lib/core/envoy_config.ts";
import { addresses, World } from "../net/pods.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { memory } from "./machine.ts";
import { median, spread } from "./statistics.ts";

const PORT = 9_000;

/**
 * The proxy of a pod, with the image's arguments: from the start of the process until it listens, then its memory when idle; it is killed, and
 * the time counts from its next start until a request of the pod is answered again. What containerd and the kubelet add is not in it.
 */
export async function benchSidecar({ quick, log }: BenchContext): Promise<Figure[]> {
  await using world = await World.create("nft", { bare: true });
  const { a, outside } = world;
  await using _ = await outside.serve("tcp_server", { port: PORT, kind: "http" });
  await a.protect();
  const to = addresses.outside[0];
  const start = async (): Promise<number> => {
    return await a.startProxy({ args: () => [...proxyArgs], log: `${world.folder}/access.jsonl` });
  };
  const listening: number[] = [], answering: number[] = [], idle: number[] = [], own: number[] = [];
  for (let round = 0; round < (quick ? 3 : 15); round++) {
    listening.push(await start());
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const used = await memory(a.envoy!.pid);
    idle.push(used.now * 1.048576);
    own.push(used.own * 1.048576);
    await a.stopProxy("SIGKILL");

    const killed = performance.now();
    const answer = a.namespace.call("answers", { to, port: PORT }).then((line: string) => {
      if (!line.includes(" 200 ")) throw new Error(`Cannot measure: the pod got ${line}`);
      return performance.now() - killed;
    });
    await start();
    answering.push(await answer);
    await a.stopProxy("SIGKILL");
    log(
      `Listening after ${listening.at(-1)!.toFixed(0)} ms, ${idle.at(-1)!.toFixed(1)} MB after 3 s; ` +
        `killed: answers again ${answering.at(-1)!.toFixed(0)} ms after its start`,
    );
  }
  return [
    {
      name: "Sidecar: start to listening",
      target: "<= 150 ms",
      measured: `${spread(listening, 0)} ms`,
      reached: median(listening) <= 150,
    },
    {
      name: "Sidecar, killed: start to the first request that is answered",
      target: "<= 150 ms",
      measured: `${spread(answering, 0)} ms`,
      reached: median(answering) <= 150,
    },
    {
      name: "Sidecar: RSS, idle",
      target: "<= 70 MB",
      measured: `${spread(idle, 1)} MB`,
      reached: median(idle) <= 70,
    },
    {
      name: "Sidecar: of that not the program's file, which all pods of a node share",
      target: "",
      measured: `${spread(own, 1)} MB`,
    },
  ];
}
