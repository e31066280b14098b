import { ports } from "../../lib/core/names.ts";
import type { Identity } from "./namespace.ts";
import { addresses, forbidden, type Frame, PROXY_UID, sentFrom, TENANT, type World } from "./pods.ts";

/** What an attempt came to. */
export type Outcome =
  /** Something left or reached the pod past the proxy. */
  | "bypass"
  /** It passed the proxy: the peer saw the proxy's port, there is one record, the answer came back. */
  | "captured"
  /** Nothing left, nothing arrived. */
  | "blocked";

/** One attempt to get around the proxy. */
export interface Attack {
  /** Row of the bypass matrix. */
  row: number;
  /** What is tried. */
  name: string;
  /** What has to come of it with all rules in force. */
  expected: Outcome;
  /** What comes of it in a pod without rules, where the attempt has to show that it is one. */
  bare: Outcome;
  /** Families it is tried in; both by default. */
  families?: readonly Family[];
  /** Tries it in pod `a`. Gives a text instead of an outcome where this kernel lacks what it needs. */
  attempt(world: World, family: Family): Promise<Outcome | { impossible: string }>;
}

/** Index into the pairs of addresses: IPv4 or IPv6. */
export type Family = 0 | 1;

const MARKER = "data-space-marker";
const ROOT: Identity = { uid: 0, caps: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE"] };
const RAW: Identity = { uid: 0, caps: ["NET_RAW"] };

/** A segment routing header: first to the node, then to the outside host. */
const SEGMENTS = "0004040101000000" + "fd780000000000000000000000000002" + "fd770000000000000000000000000001";

/** Opens a connection to the outside host and says where it came out. */
async function connects(
  world: World,
  family: Family,
  options: {
    as?: Identity;
    args?: Record<string, unknown>;
    fn?: string;
    wrap?: (then: unknown) => [string, Record<string, unknown>];
    port?: number;
  } = {},
): Promise<Outcome | { impossible: string }> {
  const port = options.port ?? 7100;
  const to = addresses.outside[family];
  await using server = await world.outside.serve<{ peer?: [string, number] }>("tcp_server", { port, kind: "echo" });
  const args = { to, port, send: MARKER, limit: MARKER.length, ...options.args };
  const then = { fn: options.fn ?? "tcp", args };
  const [fn, wrapped] = options.wrap ? options.wrap(then) : [then.fn, args];
  const { result, ends, frames } = await world.a.watch(
    () => world.a.namespace.call(fn, wrapped, options.as ?? TENANT),
    { expected: (result) => world.a.guarded && result.connected && options.as?.uid !== PROXY_UID ? 1 : 0, settle: 40 },
  );
  if (["EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ENOPROTOOPT", "EAFNOSUPPORT"].includes(result.error)) {
    return { impossible: result.error };
  }
  const peers = (await server.log()).flatMap(({ peer }) => peer ? [peer[1]] : []);
  if (
    forbidden(frames).length > 0 ||
    frames.some(({ from, dst }) => from === "pod" && (dst?.startsWith("127.") || dst === "::1"))
  ) return "bypass";
  if (sentFrom(frames, result.port).length > 0 || peers.includes(result.port)) return "bypass";
  if (
    result.data === MARKER && peers.length === 1 && ends.length === 1 &&
    String(ends[0]!.source).endsWith(`:${result.port}`)
  ) return "captured";
  if (result.connected !== true && peers.length === 0) return "blocked";
  throw new Error(`Cannot judge: ${JSON.stringify({ result, peers, ends, frames: frames.slice(0, 9) })}`);
}

/** Does something after which no frame of that family may have left that the rules do not allow. */
async function leaves(
  world: World,
  fn: string,
  args: Record<string, unknown>,
  options: { as?: Identity; mine?: (frame: Frame) => boolean } = {},
): Promise<Outcome | { impossible: string }> {
  const { result, frames } = await world.a.watch(() => world.a.namespace.call(fn, args, options.as ?? TENANT), {
    settle: 40,
  });
  if (["EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EAFNOSUPPORT"].includes(result.error)) {
    return { impossible: result.error };
  }
  const out = options.mine ? frames.filter((f) => f.from === "pod" && options.mine!(f)) : forbidden(frames);
  return out.length > 0 ? "bypass" : "blocked";
}

const udp = (protocol: number, port: number, more: Record<string, unknown> = {}) => (world: World, family: Family) =>
  leaves(world, "udp", { to: addresses.outside[family], port, protocol, ...more });

/** Every row of the matrix that concerns the pod's network namespace, as attempts. Rows 16, 17 and 20 to 23 have tests of their own. */
export const attacks: Attack[] = [
  ...([["a restricted container", TENANT], ["root without SETUID", ROOT], ["nobody", { uid: 65_534 }]] as [
    string,
    Identity,
  ][]).map((
    [who, as],
  ): Attack => ({
    row: 1,
    name: `TCP of ${who}`,
    expected: "captured",
    bare: "bypass",
    attempt: (world, family) => connects(world, family, { as }),
  })),
  {
    row: 2,
    name: "TCP to an IPv4 address through an IPv6 socket",
    expected: "captured",
    bare: "bypass",
    families: [0],
    attempt: (world) => connects(world, 0, { args: { to: `::ffff:${addresses.outside[0]}` } }),
  },
  {
    row: 1,
    name: "TCP Fast Open",
    expected: "captured",
    bare: "bypass",
    attempt: (w, f) => connects(w, f, { fn: "fast_open", args: { limit: undefined } }),
  },
  { row: 3, name: "UDP", expected: "blocked", bare: "bypass", attempt: udp(0, 9) },
  {
    row: 3,
    name: "UDP of a connected socket",
    expected: "blocked",
    bare: "bypass",
    attempt: udp(0, 9, { connect: true }),
  },
  {
    row: 3,
    name: "UDP in fragments",
    expected: "blocked",
    bare: "bypass",
    attempt: udp(0, 9, { send: "", size: 4_000 }),
  },
  { row: 3, name: "QUIC", expected: "blocked", bare: "bypass", attempt: udp(0, 443) },
  { row: 3, name: "UDP-Lite", expected: "blocked", bare: "bypass", attempt: udp(136, 9) },
  {
    row: 3,
    name: "UDP broadcast and multicast",
    expected: "blocked",
    bare: "bypass",
    attempt: (w, f) => leaves(w, "udp", { to: ["224.0.0.251", "ff02::fb%eth0"][f], port: 5353 }),
  },
  {
    row: 4,
    name: "a ping socket",
    expected: "blocked",
    bare: "bypass",
    attempt: (w, f) => leaves(w, "ping", { to: addresses.outside[f] }),
  },
  { row: 5, name: "DNS over UDP to another server", expected: "blocked", bare: "bypass", attempt: udp(0, 53) },
  {
    row: 5,
    name: "DNS over TCP to another server",
    expected: "captured",
    bare: "bypass",
    attempt: (w, f) => connects(w, f, { port: 53 }),
  },
  {
    row: 5,
    name: "another port of the resolver",
    expected: "blocked",
    bare: "bypass",
    attempt: (w, f) => leaves(w, "udp", { to: addresses.resolver[f], port: 5353 }),
  },
  ...[1, 17, 253].map((protocol): Attack => ({
    row: 6,
    name: `a raw socket of protocol ${protocol}, with NET_RAW`,
    expected: "blocked",
    bare: "bypass",
    attempt: (w, f) =>
      leaves(w, "raw", {
        to: addresses.outside[f],
        protocol: protocol === 1 && f === 1 ? 58 : protocol,
        payload: "80000000000100010000",
      }, {
        as: RAW,
      }),
  })),
  {
    row: 7,
    name: "a packet socket, without NET_RAW",
    expected: "blocked",
    bare: "blocked",
    families: [0],
    attempt: (w) =>
      leaves(w, "packet", { device: "eth0", to_mac: "ffffffffffff", payload: "aa" }, {
        mine: (x) => x.kind === "88b5",
      }),
  },
  {
    row: 7,
    name: "a packet socket, with NET_RAW (refused at admission)",
    expected: "bypass",
    bare: "bypass",
    families: [0],
    attempt: (w) =>
      leaves(w, "packet", { device: "eth0", to_mac: "ffffffffffff", payload: "aa" }, {
        as: RAW,
        mine: (x) => x.kind === "88b5",
      }),
  },
  {
    row: 8,
    name: "the proxy's uid, TCP (refused at admission)",
    expected: "bypass",
    bare: "bypass",
    attempt: (w, f) => connects(w, f, { as: { uid: PROXY_UID } }),
  },
  {
    row: 8,
    name: "the proxy's uid, UDP",
    expected: "blocked",
    bare: "bypass",
    attempt: (w, f) => leaves(w, "udp", { to: addresses.outside[f], port: 9 }, { as: { uid: PROXY_UID } }),
  },
  {
    row: 9,
    name: "root that takes the proxy's uid, SETUID dropped",
    expected: "blocked",
    bare: "blocked",
    attempt: (w, f) => connects(w, f, { as: ROOT, wrap: (then) => ["take_uid", { uid: PROXY_UID, then }] }),
  },
  {
    row: 9,
    name: "root that takes the proxy's uid, with SETUID (refused at admission)",
    expected: "bypass",
    bare: "bypass",
    attempt: (w, f) =>
      connects(w, f, { as: { uid: 0, caps: ["SETUID"] }, wrap: (then) => ["take_uid", { uid: PROXY_UID, then }] }),
  },
  {
    row: 10,
    name: "a set-uid program of the proxy's uid, with no_new_privs",
    expected: "captured",
    bare: "bypass",
    attempt: (w, f) => setUid(w, f, true),
  },
  {
    row: 10,
    name: "a set-uid program of the proxy's uid, without no_new_privs (refused at admission)",
    expected: "bypass",
    bare: "bypass",
    attempt: (w, f) => setUid(w, f, false),
  },
  {
    row: 11,
    name: "the proxy's group, as primary and as supplementary group",
    expected: "captured",
    bare: "bypass",
    attempt: (w, f) => connects(w, f, { as: { uid: 10_001, gid: PROXY_UID, groups: [PROXY_UID] } }),
  },
  {
    row: 12,
    name: "a user namespace in which the process has the proxy's uid",
    expected: "captured",
    bare: "bypass",
    attempt: (w, f) => connects(w, f, { wrap: (then) => ["user_namespace", { inside: PROXY_UID, then }] }),
  },
  {
    row: 13,
    name: "a socket bound to eth0",
    expected: "blocked",
    bare: "bypass",
    attempt: (w, f) => connects(w, f, { args: { device: "eth0", timeout: 1 } }),
  },
  {
    row: 14,
    name: "MPTCP",
    expected: "captured",
    bare: "bypass",
    attempt: (w, f) => connects(w, f, { args: { protocol: 262 } }),
  },
  ...([["SCTP", 132, 1], ["DCCP", 33, 6], ["L2TP over IP", 115, 2]] as [string, number, number][]).map((
    [name, protocol, kind],
  ): Attack => ({
    row: 3,
    name,
    expected: "blocked",
    bare: "bypass",
    attempt: (w, f) => leaves(w, "dgram", { to: addresses.outside[f], protocol, kind }),
  })),
  ...(["outbound", "inbound"] as const).flatMap((port): Attack[] => [
    {
      row: 15,
      name: `a direct hit on the ${port} port, from the pod`,
      expected: "blocked",
      bare: "bypass",
      attempt: async ({ a }, family) => {
        const hosts = port === "outbound"
          ? [["127.0.0.1", "::1"][family]!]
          : [["127.0.0.1", "::1"][family]!, addresses.a[family]];
        const { result, records } = await a.watch(() =>
          Promise.all(
            hosts.map((to) =>
              a.namespace.call("tcp", { to, port: ports[port], send: "GET / HTTP/1.1\r\n\r\n", timeout: 0.5 }, TENANT)
            ),
          )
        );
        return result.some(({ connected }: { connected: boolean }) => connected) || records.length > 0
          ? "bypass"
          : "blocked";
      },
    },
    {
      row: 15,
      name: `a direct hit on the ${port} port, from outside`,
      expected: "blocked",
      bare: port === "outbound" ? "blocked" : "bypass", // it listens on loopback alone
      attempt: async ({ a, outside }, family) => {
        const { result, records } = await a.watch(() =>
          outside.call("tcp", {
            to: addresses.a[family],
            port: ports[port],
            send: "GET / HTTP/1.1\r\n\r\n",
            timeout: 0.5,
          })
        );
        return result.connected || records.length > 0 ? "bypass" : "blocked";
      },
    },
  ]),
  {
    row: 18,
    name: "a connection from outside",
    expected: "captured",
    bare: "bypass",
    attempt: async ({ a, outside }, family) => {
      await using server = await a.namespace.serve<{ peer?: [string, number] }>("tcp_server", { port: 7200 }, TENANT);
      const { result, ends } = await a.watch(
        () => outside.call("tcp", { to: addresses.a[family], port: 7200, send: MARKER, limit: MARKER.length }),
        { expected: a.guarded ? 1 : 0, settle: 40 },
      );
      const peers = (await server.log()).flatMap(({ peer }) => peer ? [peer] : []);
      if (peers.some(([host, port]) => port === result.port || host === addresses.outside[family])) return "bypass";
      return result.data === MARKER && ends.length === 1 && ends[0]!.direction === "inbound" ? "captured" : "blocked";
    },
  },
  {
    row: 19,
    name: "UDP from outside",
    expected: "blocked",
    bare: "bypass",
    attempt: async ({ a, outside }, family) => {
      await using server = await a.namespace.serve("udp_server", { port: 7300 }, TENANT);
      await outside.call("udp", { to: addresses.a[family], port: 7300 });
      return (await server.log()).length > 0 ? "bypass" : "blocked";
    },
  },
  {
    row: 19,
    name: "ping from outside",
    expected: "blocked",
    bare: "bypass",
    attempt: async ({ outside }, family) =>
      (await outside.call("ping", { to: addresses.a[family] })).answered ? "bypass" : "blocked",
  },
  {
    row: 2,
    name: "TCP with an IPv6 routing header",
    expected: "blocked",
    bare: "bypass",
    families: [1],
    attempt: (w, f) => connects(w, f, { args: { rthdr: SEGMENTS, timeout: 1 } }),
  },
];

/** Attempts to use a set-uid copy of the interpreter, owned by the proxy's uid. */
async function setUid(world: World, family: Family, no_new_privs: boolean): Promise<Outcome | { impossible: string }> {
  const program = await world.setUidProgram();
  const code = `
import socket, json
s = socket.create_connection(("${addresses.outside[family]}", 7100), 4)
s.sendall(b"${MARKER}")
d = b""
while len(d) < ${MARKER.length}:
    d += s.recv(100)
print(json.dumps({"connected": True, "port": s.getsockname()[1], "data": d.decode()}))`;
  return await connects(world, family, {
    as: { uid: 10_001, no_new_privs },
    wrap: () => ["run_json", { command: [program, "-I", "-c", code] }],
  });
}
