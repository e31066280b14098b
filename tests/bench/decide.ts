import { imageEnvironment, runtimeFlags } from "../../deploy/runtime_flags.ts";
import { ROOT } from "../support/tree.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { median, spread } from "./statistics.ts";
import { runJson } from "./tool.ts";

/** What decide_bench.ts tells of a pod: CPU time of each step in each round, µs; sizes of review and answer, bytes. */
interface Decided {
  name: string;
  bytes: number;
  answer: number;
  decide: number[];
  all: number[];
}

/** CPU time of the decision on a pod, under the engine's flags of the image; in a process of its own, since flags are a process's. */
export async function benchDecide({ quick, log }: BenchContext): Promise<Figure[]> {
  const flags = runtimeFlags.image.filter((flag) => flag.startsWith("--v8-flags="));
  const permissions = ["--no-prompt", "--allow-read", "--allow-env", "--allow-sys"];
  const program = ["run", "--quiet", ...permissions, ...flags, `${ROOT}tests/bench/decide_bench.ts`];
  const environment = Object.entries(imageEnvironment).map(([name, value]) => `${name}=${value}`);
  const command = ["env", ...environment, Deno.execPath(), ...program, quick ? "5" : "60", "--json"];
  const pods = await runJson<Decided>(command);
  return pods.flatMap(({ name, bytes, answer, decide, all }) => {
    log(`${name}: decide ${spread(decide, 1)}, all ${spread(all, 1)} µs; ${bytes} bytes in, ${answer} out`);
    const decision = { name: `Rules and patch of ${name}: CPU`, measured: `${spread(decide, 1)} µs` };
    const review = { name: `Decode, decide and encode ${name}: CPU`, measured: `${spread(all, 1)} µs` };
    if (name.startsWith("10 ")) {
      return [{ ...decision, target: "<= 0.2 ms", reached: median(decide) <= 200 }, { ...review, target: "" }];
    }
    if (name === "Liqo's pod") {
      return [{ ...decision, target: "" }, { ...review, target: "<= 25 µs", reached: median(all) <= 25 }];
    }
    return [{ ...decision, target: "" }];
  });
}
