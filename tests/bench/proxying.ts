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
const OURS = "0";
const THEIRS = "1";
/** Where all three take any core, as in a cluster, the work of both ends counts too. */
const ANY = "0,1";

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
  await using server = await serve(tool, outside, addresses.outside[0]);
  await using inner = await serve(tool, a.namespace, a.v4);

  const seconds = quick ? { warm: "200ms", time: "500ms" } : { warm: "500ms", time: "2s" };
  const set = async (variant: Variant): Promise<void> => {
    await a.stopProxy();
    if (variant === "no proxy") return await a.unprotect();
    await a.protect();
    const args = () => [...proxyArgs];
    await a.startProxy(variant === "sidecar" ? { args, log: records } : { args, config: bare, log: "/dev/null" });
  };
  const run = async (variant: Variant, { direction, free, ...load }: Setting): Promise<Sample> => {
    const [from, to] = direction === "outbound" ? [a.namespace, addresses.outside[0]] : [outside, a.v4];
    const flags = flagsOf({ to: `${to}:${PORT}`, ...seconds, ...load });
    for (const { pid } of [server, inner]) await pin(pid, free ? ANY : THEIRS);
    if (a.envoy) await pin(a.envoy.pid, free ? ANY : OURS);
    const recorded = variant === "sidecar" ? await lines(records) : 0;
    const before = a.envoy ? await cpuSeconds(a.envoy.pid) : 0;
    const [result] = await runJson<ReviewsResult & { made: number }>(
      from.enter(["taskset", "-c", free ? ANY : THEIRS, tool, "gets", ...flags]),
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

  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < (quick ? 2 : 5); round++) {
    for (const variant of round % 2 === 0 ? VARIANTS : VARIANTS.toReversed()) {
      await set(variant);
      for (const setting of SETTINGS) {
        const sample = await run(variant, setting);
        const key = `${variant}, ${nameOf(setting)}`;
        samples.set(key, [...samples.get(key) ?? [], sample]);
        const { rate, p50, p99, cpu } = sample;
        log(`${key}: ${rate.toFixed(0)}/s, p50 ${p50}, p99 ${p99} ms, ${cpu.toFixed(0)} µs of CPU each`);
      }
    }
  }
  await a.stopProxy();
  return SETTINGS.flatMap((setting) => compared(setting, (variant) => samples.get(`${variant}, ${nameOf(setting)}`)!));
}

/** How requests are made. */
interface Setting {
  direction: Direction;
  connections: number;
  /** Requests a second; absent: as fast as answers come. */
  rate?: number;
  /** All processes take any core. */
  free?: true;
}

const SETTINGS: readonly Setting[] = [
  ...DIRECTIONS.flatMap((direction) => [
    ...CONNECTIONS.map((connections) => ({ direction, connections })),
    { direction, connections: 16, rate: CALM },
  ]),
  ...CONNECTIONS.map((connections) => ({ direction: "outbound", connections, free: true } as const)),
];

function nameOf({ direction, connections, rate, free }: Setting): string {
  const pace = rate === undefined ? "" : ` at ${rate}/s`;
  return `${direction}, ${connections} connection${connections > 1 ? "s" : ""}${pace}${free ? ", any core" : ""}`;
}

/** Latency of the three variants at p50 and p99, and the sidecar's over that of tcp_proxy in the same round; what the proxy's CPU does for it. */
function compared(setting: Setting, of: (variant: Variant) => Sample[]): Figure[] {
  const each = (pick: (sample: Sample) => number, variants: readonly Variant[], digits = 2) =>
    variants.map((variant) => spread(of(variant).map(pick), digits)).join("; ");
  const latencies = (["p50", "p99"] as const).map((quantile) => {
    const times = of("sidecar").map((sample, i) => sample[quantile] / of("tcp_proxy")[i]![quantile]);
    return {
      name: `HTTP ${nameOf(setting)}: ${quantile} of no proxy; tcp_proxy; sidecar`,
      target: "<= 1.5 x tcp_proxy",
      measured: `${each((sample) => sample[quantile], VARIANTS)} ms: ${spread(times)} x`,
      reached: median(times) <= 1.5,
    };
  });
  return [...latencies, {
    name: `HTTP ${nameOf(setting)}: requests/s of all three; CPU of tcp_proxy and sidecar for one`,
    target: "",
    measured: `${each(({ rate }) => rate, VARIANTS, 0)}; ${each(({ cpu }) => cpu, ["tcp_proxy", "sidecar"], 0)} µs`,
  }];
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

/** A server in a namespace; the processes that enter it give their place to the server. */
async function serve(
  tool: string,
  namespace: Namespace,
  host: string,
): Promise<{ pid: number } & AsyncDisposable> {
  const [program, ...args] = namespace.enter(["taskset", "-c", THEIRS, tool, "pages", `-listen=${host}:${PORT}`]);
  const child = new Deno.Command(program!, { args, stdin: "null", stdout: "null" }).spawn();
  const server = {
    pid: child.pid,
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
