import { CONNTRACK_MARK, ports } from "../../lib/core/names.ts";
import { redirectArgs, redirectScript } from "../../lib/core/redirect_script.ts";
import { Namespace } from "../net/namespace.ts";
import { must, prepare } from "../net/tools.ts";
import type { BenchContext, Figure } from "./figure.ts";
import { median, spread } from "./statistics.ts";

const BACKENDS = ["nft", "legacy"] as const;
/** With which commands beside those of iptables: redirect.sh tests itself where nc and tftp are. */
const PROOFS = { "read-back": [], "read-back and self-test": ["nc", "tftp"] } as const;

type Backend = typeof BACKENDS[number];
type Proof = keyof typeof PROOFS;

/**
 * What the init container does, from the start of its shell to its end: both families loaded, read back and compared. Each time in a
 * network namespace that is new, as a pod's is, with one interface and routes; the variants by turns.
 */
export async function benchRedirect({ quick, log }: BenchContext): Promise<Figure[]> {
  await prepare();
  const folder = await Deno.makeTempDir({ prefix: "data-spacer-bench-" });
  const times = new Map<string, number[]>();
  try {
    for (let round = 0; round < (quick ? 3 : 25); round++) {
      for (const backend of BACKENDS) {
        for (const proof of Object.keys(PROOFS) as Proof[]) {
          const ms = await load(await commands(folder, backend, proof), backend, proof);
          times.set(`${backend}, ${proof}`, [...times.get(`${backend}, ${proof}`) ?? [], ms]);
        }
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  for (const [variant, ms] of times) log(`${variant}: ${spread(ms, 0)} ms`);
  return (Object.keys(PROOFS) as Proof[]).map((proof) => {
    const of = (backend: Backend) => times.get(`${backend}, ${proof}`)!;
    const isTarget = proof === "read-back";
    return {
      name: `Redirect rules of both families, ${proof}: nft; legacy`,
      target: isTarget ? "<= 50 ms on the faster back end" : "",
      measured: BACKENDS.map((backend) => `${spread(of(backend), 0)} ms`).join("; "),
      ...(isTarget ? { reached: Math.min(...BACKENDS.map((backend) => median(of(backend)))) <= 50 } : {}),
    };
  });
}

/** A PATH with what the image has of use to the script, and no more. */
async function commands(folder: string, backend: Backend, proof: Proof): Promise<string> {
  const path = `${folder}/${backend}-${proof.replaceAll(" ", "-")}`;
  try {
    await Deno.mkdir(path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return path;
    throw error;
  }
  const link = async (name: string, command: string) =>
    await Deno.symlink((await must(["sh", "-c", `command -v ${command}`])).trim(), `${path}/${name}`);
  for (const tool of ["iptables", "ip6tables"]) {
    for (const name of [`${tool}-${backend}-restore`, `${tool}-${backend}-save`]) await link(name, name);
  }
  for (const applet of PROOFS[proof]) await link(applet, "busybox");
  return path;
}

async function load(path: string, backend: Backend, proof: Proof): Promise<number> {
  await using pod = await Namespace.create();
  for (
    const words of [
      "link add eth0 type veth peer name peer0",
      "address add 10.77.0.2/24 dev eth0",
      "address add fd77::2/64 dev eth0 nodad",
      "link set eth0 up",
      "route add default via 10.77.0.1",
      "-6 route add default via fd77::1",
    ]
  ) await pod.ip(words);
  const args = redirectArgs({
    proxyUid: 21_337,
    resolvers: ["10.96.0.10", "fd00::a"],
    outboundPort: ports.outbound,
    inboundPort: ports.inbound,
    healthPort: ports.health,
    mark: CONNTRACK_MARK,
    backend,
  });
  const command = ["/usr/bin/env", "-i", `PATH=${path}`, "/bin/sh", "-c", redirectScript, ...args];
  const { code, err, ms } = await pod.call("run", { command });
  const loaded = `redirect: loaded (back end ${backend}, IP versions 6 4), proved by ${proof}\n`;
  if (code !== 0 || err !== loaded) throw new Error(`Cannot measure: redirect.sh ended with ${code}: ${err}`);
  return ms;
}
