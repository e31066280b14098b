import type { Place } from "./places.ts";
import type { Row } from "./rows.ts";

/** An attempt inside a pod that has come off where its command ends with 0. */
export interface DeedRow extends Row {
  /** Where it is made; by default `restricted`. */
  from?: Place;
}

const NO = { expected: "refused", bare: "gets through" } as const;
/** What nothing without a proxy could be compared with. */
const NO_PROXY = { expected: "refused" } as const;
const OPEN = { expected: "gets through" } as const;

const connect = (address: string) => `socat -u TCP:${address},connect-timeout=1 -`;
const hold = (address: string) => `socat ${address} - & sleep 0.3; kill $!`;

const atTheProxy: readonly DeedRow[] = [
  { what: "a connection to the proxy's outbound port", how: connect("127.0.0.1:15801"), ...NO_PROXY },
  { what: "the same, IPv6", how: connect("[::1]:15801"), ...NO_PROXY },
  { what: "a connection to its inbound port", how: connect("127.0.0.1:15806"), ...NO_PROXY },
  { what: "the same, by the pod's own address", how: connect("{me}:15806"), ...NO_PROXY },
  { what: "the same, IPv6", how: connect("[{me6}]:15806"), ...NO_PROXY },
  { what: "the proxy's readiness", how: "curl -sf -m 2 http://127.0.0.1:15821/healthz/ready", ...OPEN },
  { what: "the proxy's metrics", how: "curl -sf -m 2 http://127.0.0.1:15890/stats/prometheus", ...OPEN },
  {
    what: "its configuration, at the metrics' port",
    how: "curl -sf -m 2 http://127.0.0.1:15890/config_dump",
    ...NO_PROXY,
  },
  {
    what: "its end, at the metrics' port",
    how: "curl -sf -m 2 -d '' http://127.0.0.1:15890/quitquitquit",
    ...NO_PROXY,
  },
  {
    what: "its end, at the port of readiness",
    how: "curl -sf -m 2 -d '' http://127.0.0.1:15821/quitquitquit",
    ...NO_PROXY,
  },
  {
    what: "its admin socket",
    how: "curl -sf -m 2 --unix-socket /run/data-space/admin.sock http://proxy/ready",
    ...NO_PROXY,
  },
  { what: "abstract Unix sockets of it, which the pod would share", how: "grep @ /proc/net/unix", ...NO_PROXY },
  { what: "its files, by way of a process", how: "ls -d /proc/[0-9]*/root/etc/data-space", ...NO_PROXY },
  { what: "a signal to it", how: "killall -9 envoy", ...NO_PROXY },
  { what: "a signal to it, by root, profile `root`", how: "killall -9 envoy", from: "root", ...NO_PROXY },
  {
    what: "its outbound port, while it lives",
    how: hold("TCP-LISTEN:15801,bind=127.0.0.1,reuseaddr,reuseport"),
    ...NO,
  },
  { what: "its inbound port, while it lives", how: hold("TCP-LISTEN:15806,reuseaddr,reuseport"), ...NO },
  { what: "the same, at the pod's own address", how: hold("TCP-LISTEN:15806,bind={me},reuseaddr,reuseport"), ...NO },
  {
    what: "the proxy's uid, by root, profile `root`",
    how: "socat -u OPEN:/dev/null,setuid-early={proxy-uid} -",
    from: "root",
    ...NO,
  },
  {
    what: "the proxy's uid, profile `observed`",
    how: "socat -u OPEN:/dev/null,setuid-early={proxy-uid} -",
    from: "observed",
    expected: "gets through",
    bare: "gets through",
  },
];

/** By anybody, and by root: a profile gives no power over the network. */
const atTheKernel: readonly DeedRow[] = ([
  ["the pod's rules emptied", "iptables -F OUTPUT"],
  ["the same, IPv6", "ip6tables -F OUTPUT"],
  ["all tables dropped", "nft flush ruleset"],
  ["an address added", "ip address add 10.9.9.9/32 dev eth0"],
  ["a route added", "ip route add 10.9.8.0/24 dev eth0"],
  ["a kernel parameter of the network", "echo 1 > /proc/sys/net/ipv4/ip_forward"],
  ["a network namespace of its own", "unshare -n true"],
  ["a user namespace", "unshare -U true"],
  ["another process's network", "nsenter --net=/proc/1/ns/net true"],
  ["a file system mounted", "mount -t tmpfs x /tmp"],
  ["the node's disk as a device", "mknod /tmp/disk b 8 0"],
  ["a raw socket", "socat -u OPEN:/dev/null IP4-SENDTO:{hospital}:253"],
] as const).flatMap(([what, how]): DeedRow[] => [
  { what, how, ...NO },
  { what: `${what}, by root, profile \`root\``, how, from: "root", expected: "refused" },
]);

/** Attempts that need a test of their own. */
export const ownRows = {
  killsAll: {
    what: "a signal to every process, then a connection",
    how: "kill -9 -1",
    expected: "recorded",
  },
  proxyDead: {
    what: "TCP to an allowed pod while the proxy is dead",
    how: "socat -u TCP:{hospital}:7100 -",
    expected: "dropped",
  },
  proxyDeadUdp: {
    what: "UDP to an allowed pod while the proxy is dead",
    how: "echo x | socat - UDP:{hospital}:7300",
    expected: "dropped",
  },
  squatsOutbound: {
    what: "the proxy's outbound port taken while it is dead, and connections that it gets",
    how: "socat TCP-LISTEN:15801,bind=127.0.0.1,reuseaddr,fork PIPE",
    expected: "dropped",
  },
  squatsInbound: {
    what: "the proxy's inbound port taken while it is dead, and a connection from an allowed pod",
    how: "socat TCP6-LISTEN:15806,ipv6only=0,reuseaddr,fork SYSTEM:'echo peer $SOCAT_PEERPORT'",
    expected: "dropped",
  },
} as const satisfies Record<string, Row>;

/** All attempts of a process at the proxy and at the kernel. */
export const deedRows: readonly DeedRow[] = [...atTheProxy, ...atTheKernel];
