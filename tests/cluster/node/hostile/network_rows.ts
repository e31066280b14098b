import type { Place } from "./places.ts";
import type { Row } from "./rows.ts";

/** An attempt to send something past the proxy, or to a place that is none of the consumer's business. */
export interface NetworkRow extends Row {
  /** Where it is made; by default `restricted`. What comes into a pod is tried at `{me}`, under `restricted`. */
  from?: Place;
  /** `connection`: judged by the record and by who the server saw. `packets`: by what leaves the pod, or is answered. */
  kind: "connection" | "packets";
  /** What the answer looks like; by default that of our own servers, `peer PORT`. */
  answer?: RegExp;
}

const THROUGH = { bare: "gets through" } as const;
const RECORDED = { kind: "connection", expected: "recorded", ...THROUGH } as const;
const STOPPED = { kind: "connection", expected: "recorded, stopped", ...THROUGH } as const;
const DROPPED = { kind: "packets", expected: "dropped", ...THROUGH } as const;

const tcp = (address: string, port = "7100", options = "") => `socat -u TCP:${address}:${port}${options} -`;
const udp = (address: string, port: number) => `echo x | socat - UDP:${address}:${port}`;
const https = (address: string) => `curl -sk -m 2 https://${address}`;

/** Connections to what the namespace may reach: none but through the proxy. */
const allowedTargets: readonly NetworkRow[] = [
  { what: "TCP to an allowed pod", how: tcp("{hospital}"), ...RECORDED },
  { what: "the same, IPv6", how: tcp("[{hospital6}]"), ...RECORDED },
  { what: "IPv4 through an IPv6 socket", how: tcp("[::ffff:{hospital}]"), ...RECORDED },
  { what: "TCP to its Service", how: tcp("{hospital-service}"), ...RECORDED },
  { what: "TCP to its NodePort on the node", how: tcp("{node}", "{hospital-nodeport}"), ...RECORDED },
  { what: "MPTCP", how: tcp("{hospital}", "7100", ",protocol=262"), ...RECORDED },
  { what: "TCP from a port of one's own choice", how: tcp("{hospital}", "7100", ",bind=:40001"), ...RECORDED },
  { what: "DNS over TCP to another server", how: tcp("{hospital}", "53"), ...RECORDED },
  {
    what: "HTTP with another host in it",
    how: "curl -s -m 3 -H 'Host: {restricted}' http://{hospital}:8080/cgi-bin/peer",
    ...RECORDED,
  },
  {
    what: "HTTP that names another destination to Envoy",
    how: "curl -s -m 3 -H 'x-envoy-original-dst-host: {restricted}:8080' http://{hospital}:8080/cgi-bin/peer",
    ...RECORDED,
  },
  {
    what: "TCP by root, profile `root`",
    how: tcp("{hospital}"),
    from: "root",
    ...RECORDED,
  },
  {
    what: "TCP as the first uid and a group of the proxy's range, set in the pod",
    how: tcp("{hospital}"),
    from: "proxy-uid",
    ...RECORDED,
  },
  {
    what: "TCP of a set-uid program of the proxy's uid, profile `root`",
    how:
      `sh -c 'cp /usr/bin/socat /tmp/s; chown {proxy-uid} /tmp/s; chmod 6755 /tmp/s; /tmp/s -d -d -T 2 -u TCP:{hospital}:7100 -'`,
    from: "root",
    ...RECORDED,
  },
  {
    what: "TCP of a process that takes the proxy's uid, profile `observed`",
    how: tcp("{hospital}", "7100", ",setuid-early={proxy-uid}"),
    from: "observed",
    kind: "connection",
    expected: "gets through",
    ...THROUGH,
  },
  {
    what: "the same to a forbidden pod: the NetworkPolicy holds, and nothing is recorded",
    how: tcp("{restricted}", "7100", ",setuid-early={proxy-uid}"),
    from: "observed",
    kind: "connection",
    expected: "dropped",
    ...THROUGH,
  },
  {
    what: "UDP of such a process, profile `observed`",
    how: "echo x | socat - UDP:{hospital}:7300,setuid-early={proxy-uid}",
    from: "observed",
    ...DROPPED,
  },
];

/** Connections to what it may not reach. */
const forbiddenTargets: readonly NetworkRow[] = [
  { what: "TCP to a forbidden pod", how: tcp("{restricted}"), ...STOPPED },
  { what: "the same, IPv6", how: tcp("[{restricted6}]"), ...STOPPED },
  { what: "TCP to its Service", how: tcp("{restricted-service}"), ...STOPPED },
  { what: "TCP to its NodePort on the node", how: tcp("{node}", "{restricted-nodeport}"), ...STOPPED },
  { what: "a Service of the consumer's with endpoints of a forbidden pod", how: tcp("{lure-service}"), ...STOPPED },
  { what: "a forbidden pod, by root, profile `root`", how: tcp("{restricted}"), from: "root", ...STOPPED },
  { what: "another pod of the same namespace", how: tcp("{neighbour}"), kind: "connection", expected: "recorded" },
  {
    what: "a pod of another consumer",
    how: tcp("{stranger}"),
    kind: "connection",
    expected: "recorded, stopped",
  },
  { what: "a host outside of the cluster", how: tcp("{outside}"), ...STOPPED },
  { what: "the metadata service of a cloud", how: tcp("169.254.169.254"), ...STOPPED },
  { what: "the kubelet", how: https("{node}:10250/pods"), answer: /Unauthorized/, ...STOPPED },
  { what: "the API server on the node", how: https("{node}:6443/version"), answer: /gitVersion/, ...STOPPED },
  { what: "the API server by its Service", how: https("{api}/version"), answer: /gitVersion/, ...STOPPED },
];

/** What is not TCP. The hospital is an allowed target: the pod's own rules alone stop it. */
const otherProtocols: readonly NetworkRow[] = [
  { what: "UDP to an allowed pod", how: udp("{hospital}", 7300), ...DROPPED },
  { what: "the same, IPv6", how: udp("[{hospital6}]", 7300), ...DROPPED },
  { what: "QUIC's port", how: udp("{hospital}", 443), ...DROPPED },
  { what: "UDP-Lite", how: "echo x | socat - UDP:{hospital}:7300,protocol=136", ...DROPPED },
  { what: "UDP in fragments", how: "head -c 4000 /dev/zero | socat -b 4000 - UDP:{hospital}:7300", ...DROPPED },
  { what: "UDP to the node", how: udp("{node}", 7300), ...DROPPED },
  { what: "UDP multicast", how: "echo x | socat - UDP-DATAGRAM:224.0.0.251:5353", ...DROPPED },
  {
    what: "UDP by a socket bound to eth0",
    how: "echo x | socat - UDP:{hospital}:7300,so-bindtodevice=eth0",
    ...DROPPED,
  },
  {
    what: "TCP by a socket bound to eth0",
    how: tcp("{hospital}", "7100", ",so-bindtodevice=eth0"),
    kind: "connection",
    expected: "dropped",
    ...THROUGH,
  },
  { what: "UDP by root, profile `root`", how: udp("{hospital}", 7300), from: "root", ...DROPPED },
  {
    what: "a ping socket, where the node lets everybody have one",
    how: "printf '\\10\\0\\0\\0\\0\\1\\0\\1' | socat - SOCKET-DATAGRAM:2:2:1:x0000{hospital-hex}0000000000000000",
    ...DROPPED,
  },
  {
    what: "the same, IPv6",
    how: "printf '\\200\\0\\0\\0\\0\\1\\0\\1' | socat - SOCKET-DATAGRAM:10:2:58:x000000000000{hospital6-hex}00000000",
    ...DROPPED,
  },
  { what: "ping", how: "ping -c 1 -W 1 {hospital}", answer: /1 packets received/, ...DROPPED },
  { what: "ping, IPv6", how: "ping -c 1 -W 1 {hospital6}", answer: /1 packets received/, ...DROPPED },
  { what: "ping by root, profile `root`", how: "ping -c 1 -W 1 {hospital}", from: "root", ...DROPPED },
  { what: "a raw socket", how: "echo x | socat - IP4-SENDTO:{hospital}:253", ...DROPPED },
  {
    what: "a raw socket of root, profile `root`",
    how: "echo x | socat - IP4-SENDTO:{hospital}:253",
    from: "root",
    ...DROPPED,
  },
  { what: "a packet socket", how: "head -c 60 /dev/zero | socat -u - INTERFACE:eth0", ...DROPPED },
  {
    what: "a packet socket of root, profile `root`",
    how: "head -c 60 /dev/zero | socat -u - INTERFACE:eth0",
    from: "root",
    ...DROPPED,
  },
  {
    what: "a packet socket, profile `observed`",
    how: "head -c 60 /dev/zero | socat -u - INTERFACE:eth0",
    from: "observed",
    ...DROPPED,
  },
];

/** Names. */
const names: readonly NetworkRow[] = [
  {
    what: "DNS of the cluster",
    how: "nslookup server.hospital-space.svc.cluster.local {dns}",
    answer: /Name:/,
    kind: "packets",
    expected: "gets through",
    ...THROUGH,
  },
  {
    what: "data in a name that the cluster's DNS is asked for",
    how: "nslookup c2VjcmV0.pharma.example {dns}",
    answer: /NXDOMAIN|REFUSED|SERVFAIL/,
    kind: "packets",
    expected: "gets through",
    ...THROUGH,
  },
  { what: "DNS to another server", how: udp("{hospital}", 53), ...DROPPED },
  { what: "DNS to a pod of the cluster's DNS", how: "nslookup x.example {dns-pod}", ...DROPPED },
  { what: "another port of the cluster's DNS", how: udp("{dns}", 5353), ...DROPPED },
  { what: "a tunnel to the DNS of a host outside", how: udp("{outside}", 53), ...DROPPED },
];

/** What comes into a pod. */
const inbound: readonly NetworkRow[] = [
  { what: "TCP from an allowed pod", how: tcp("{me}"), from: "hospital", ...RECORDED },
  { what: "the same, IPv6", how: tcp("[{me6}]"), from: "hospital", ...RECORDED },
  { what: "UDP from an allowed pod", how: udp("{me}", 7300), from: "hospital", ...DROPPED },
  {
    what: "ping from an allowed pod",
    how: "ping -c 1 -W 1 {me}",
    from: "hospital",
    answer: /1 packets received/,
    ...DROPPED,
  },
  {
    what: "the proxy's inbound port, from an allowed pod",
    how: tcp("{me}", "15806"),
    from: "hospital",
    kind: "connection",
    expected: "dropped",
  },
  {
    what: "TCP from a forbidden pod",
    how: tcp("{me}"),
    from: "restricted-space",
    kind: "connection",
    expected: "dropped",
    ...THROUGH,
  },
];

/** All attempts on the network. */
export const networkRows: readonly NetworkRow[] = [
  ...allowedTargets,
  ...forbiddenTargets,
  ...otherProtocols,
  ...names,
  ...inbound,
];
