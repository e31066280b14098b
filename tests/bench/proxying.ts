import { proxyArgs, renderEnvoyConfig } from "../../lib/core/envoy_config.ts";
import type { Message } from "../../lib/core/envoy/message.ts";
import { envoyFiles } from "../../lib/core/names.ts";
import { until } from "../cluster/processes.ts";
import { addresses, World } from "../net/pods.ts";
import type { Namespace } from "../net/namespace.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { cpuSeconds, pin } from "./machine.ts";
import { median, spread } from "./statistics.ts";
import { buildTool, flagsOf, type ReviewsResult, runJson } from "./tool.ts";

/** The proxy has a core of its own; both ends, which do as little as may be, share the other. */
const OURS = 0;
const THEIRS = 1;

const PORT = 9_000;
const CONNECTIONS = [1, 16, 64] as const;
/** Requests a second over 16 connections at which no core is busy. */
const CALM = 1_000;

/** What lies between client and server: nothing, Envoy that passes bytes on, our sidecar. Rules as in a pod with both of the latter. */
const VARIANTS = ["no proxy", "tcp_proxy", "sidecar"] as const;
type Variant = typeof VARIANTS[number];

/** Where the pod is: at the client's end or at the server's. */
const DIRECTIONS = ["outbound", "inbound"] as const;
type Direction = typeof DIRECTIONS[number];

interface Sample extends ReviewsResult {
  /** CPU time of the proxy for one request, µs. */
  cpu: number;
}

/**
 * HTTP over kept connections through one sidecar, across veth, the access log on, against the same Envoy as bare tcp_proxy and against no
 * proxy. All three by turns, round by round, so that what else the machine does falls on all of them.
 */
export async function benchProxying({ quick, log }: BenchContext): Promise<Figure[]> {
  const tool = await buildTool();
  await using world = await World.create("nft", { bare: true });
  const { a, outside, folder } = world;
  const bare = await bareConfiguration(folder);
  const records = `${folder}/access.jsonl`;
  await using stack = new AsyncDisposableStack();
  for (const [namespace, host] of [[outside, addresses.outside[0]], [a.namespace, a.v4]] as const) {
    stack.use(await serve(tool, namespace, host));
  }

  const set = async (variant: Variant): Promise<void> => {
    await a.stopProxy();
    if (variant === "no proxy") return await a.unprotect();
    await a.protect();
    const args = () => [...proxyArgs];
    await a.startProxy(variant === "sidecar" ? { args, log: records } : { args, config: bare, log: "/dev/null" });
    await pin(a.envoy!.pid, OURS);
  };
  const run = async (
    variant: Variant,
    direction: Direction,
    load: Record<string, string | number>,
  ): Promise<Sample> => {
    const [from, to] = direction === "outbound" ? [a.namespace, addresses.outside[0]] : [outside, a.v4];
    const flags = flagsOf({ to: `${to}:${PORT}`, ...load });
    const recorded = variant === "sidecar" ? await lines(records) : 0;
    const before = a.envoy ? await cpuSeconds(a.envoy.pid) : 0;
    const [result] = await runJson<ReviewsResult & { made: number }>(
      from.enter(["taskset", "-c", `${THEIRS}`, tool, "gets", ...flags]),
    );
    const used = a.envoy ? await cpuSeconds(a.envoy.pid) - before : 0;
    if (variant === "sidecar") {
      // A figure without its records would be none; Envoy writes them every second.
      await until(async () => await lines(records) - recorded === result!.made || undefined, {
        ms: 5_000,
        what: `${result!.made} records (${await lines(records) - recorded} so far)`,
        every: 100,
      });
    }
    return { ...result!, cpu: used * 1e6 / result!.made };
  };

  const seconds = quick ? { warm: "200ms", time: "500ms" } : { warm: "500ms", time: "3s" };
  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < (quick ? 2 : 7); round++) {
    for (const variant of round % 2 === 0 ? VARIANTS : VARIANTS.toReversed()) {
      await set(variant);
      for (const direction of DIRECTIONS) {
        const loads = [...CONNECTIONS.map((connections) => ({ connections })), { connections: 16, rate: CALM }];
        for (const load of loads) {
          const sample = await run(variant, direction, { ...seconds, ...load });
          const key = keyOf(variant, direction, load);
          samples.set(key, [...samples.get(key) ?? [], sample]);
          log(
            `${key}: ${sample.rate.toFixed(0)}/s, p50 ${sample.p50}, p99 ${sample.p99} ms, ${
              sample.cpu.toFixed(0)
            } µs of CPU each`,
          );
        }
      }
    }
  }
  await a.stopProxy();
  return DIRECTIONS.flatMap((direction) => {
    const of = (variant: Variant, load: Load) => samples.get(keyOf(variant, direction, load))!;
    return [
      ...CONNECTIONS.flatMap((connections) => compared(direction, { connections }, of)),
      ...compared(direction, { connections: 16, rate: CALM }, of),
      {
        name: `HTTP ${direction}, 16 connections: CPU of the proxy for a request: tcp_proxy; sidecar`,
        target: "",
        measured: (["tcp_proxy", "sidecar"] as const)
          .map((variant) => `${spread(of(variant, { connections: 16 }).map(({ cpu }) => cpu), 0)} µs`).join("; "),
      },
    ];
  });
}

interface Load {
  connections: number;
  rate?: number;
}

function keyOf(variant: Variant, direction: Direction, { connections, rate }: Load): string {
  return `${variant}, ${direction}, ${connections} connections${rate === undefined ? "" : ` at ${rate}/s`}`;
}

/** Latency of the three variants at p50 and p99, and the sidecar's over that of tcp_proxy in the same round. */
function compared(
  direction: Direction,
  load: Load,
  of: (variant: Variant, load: Load) => Sample[],
): Figure[] {
  return (["p50", "p99"] as const).map((quantile) => {
    const ms = (variant: Variant) => of(variant, load).map((sample) => sample[quantile]);
    const times = ms("sidecar").map((value, i) => value / ms("tcp_proxy")[i]!);
    const { connections, rate } = load;
    return {
      name: `HTTP ${direction}, ${connections} connection${connections > 1 ? "s" : ""}${
        rate === undefined ? "" : `, ${rate}/s`
      }: ${quantile} of no proxy; tcp_proxy; sidecar`,
      target: "<= 1.5 x tcp_proxy",
      measured: `${VARIANTS.map((variant) => spread(ms(variant))).join("; ")} ms: ${spread(times)} x`,
      reached: median(times) <= 1.5,
    };
  });
}

/** The sidecar's own configuration, of which the capture listeners pass bytes on and do nothing else: nothing inspected, nothing recorded. */
async function bareConfiguration(folder: string): Promise<string> {
  const files = renderEnvoyConfig();
  const lds = JSON.parse(files[envoyFiles.listeners]!) as { resources: Message[] };
  for (const listener of lds.resources) {
    const chain = listener.default_filter_chain as { filters: { typed_config: Message }[] } | undefined;
    if (chain === undefined) continue; // health and metrics stay
    listener.listener_filters = (listener.listener_filters as Message[]).slice(0, 1); // the original destination
    for (const key of ["access_log", "filter_chains"]) delete listener[key];
    for (const { typed_config } of chain.filters) {
      for (const key of ["access_log", "access_log_options"]) delete typed_config[key];
    }
  }
  const config = `${folder}/tcp-proxy`;
  await Deno.mkdir(config);
  for (const [name, text] of Object.entries({ ...files, [envoyFiles.listeners]: JSON.stringify(lds) })) {
    await Deno.writeTextFile(`${config}/${name}`, text);
  }
  return config;
}

/** A server in a namespace, on the core of the load generator. */
async function serve(tool: string, namespace: Namespace, host: string): Promise<AsyncDisposable> {
  const [program, ...args] = namespace.enter(["taskset", "-c", `${THEIRS}`, tool, "pages", `-listen=${host}:${PORT}`]);
  const child = new Deno.Command(program!, { args, stdin: "null", stdout: "null" }).spawn();
  const server = {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
  const there = async () => (await namespace.call("tcp", { to: host, port: PORT, limit: 0 })).connected || undefined;
  await until(there, { ms: 5_000, what: `server on ${host}` }).catch(async (error) => {
    await server[Symbol.asyncDispose]();
    throw error;
  });
  return server;
}

/** Lines of a file. */
async function lines(file: string): Promise<number> {
  const { stdout } = await new Deno.Command("wc", { args: ["-l", file] }).output();
  return Number(new TextDecoder().decode(stdout).split(" ")[0]);
}
