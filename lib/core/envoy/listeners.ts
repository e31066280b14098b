import { ports } from "../names.ts";
import { accessLog, type Direction, noChain } from "./access_log.ts";
import { health } from "./health.ts";
import { onePath, proxiedHttp } from "./http.ts";
import { keepalive } from "./keepalive.ts";
import { extension, listenOn, type Message, typed } from "./message.ts";

const LISTENER = "envoy.config.listener.v3.Listener";

/**
 * Ports whose usual protocol lets the server speak first: FTP, SSH, Telnet, LMTP, SMTP, POP3, NNTP, IMAP, submission, rsync, MySQL, Subversion,
 * Sieve, VNC. Nothing is looked for in their connections, so nothing waits.
 */
const SERVER_FIRST_PORTS: readonly number[] = [
  ...[21, 22, 23, 24, 25, 110, 119, 143, 587, 873],
  ...[3306, 3690, 4190, 5900, 5901, 5902, 5903],
];

const serverFirst: Message = {
  or_match: { rules: SERVER_FIRST_PORTS.map((port) => ({ destination_port_range: { start: port, end: port + 1 } })) },
};

/** Original destination, then TLS or HTTP from the first bytes. */
const listenerFilters: readonly Message[] = [
  extension("envoy.filters.listener.original_dst", "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"),
  {
    ...extension(
      "envoy.filters.listener.tls_inspector",
      "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    ),
    filter_disabled: serverFirst,
  },
  {
    ...extension(
      "envoy.filters.listener.http_inspector",
      "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
    ),
    filter_disabled: serverFirst,
  },
];

/** A network filter that passes bytes on to where they were going. */
function tcpProxy(direction: Direction): Message {
  return extension("envoy.filters.network.tcp_proxy", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", {
    stat_prefix: direction,
    cluster: direction,
    idle_timeout: "86400s",
    access_log: [accessLog(direction)],
    access_log_options: { flush_access_log_on_connected: true, access_log_flush_interval: "60s" },
  });
}

/** A listener that takes every redirected connection of one direction. */
function captureListener(direction: Direction): Message {
  return typed(LISTENER, {
    name: direction,
    traffic_direction: direction.toUpperCase(),
    // nat OUTPUT redirects to loopback, nat PREROUTING to the pod's own address.
    ...listenOn(ports[direction], direction === "outbound" ? "loopback" : "any"),
    per_connection_buffer_limit_bytes: 32_768,
    // Under SYN cookies nobody is let in (redirect.sh): a long queue puts that off.
    tcp_backlog_size: 4_096,
    tcp_keepalive: keepalive,
    listener_filters: listenerFilters,
    // A server that speaks first on another port waits this long, then the connection passes as plain TCP; so does HTTP whose first byte comes
    // later. Less than the 0.6 s for which redirect.sh keeps an early end back.
    listener_filters_timeout: "0.4s",
    continue_on_listener_filters_timeout: true,
    access_log: [accessLog(direction, noChain)],
    filter_chains: [
      {
        name: "http",
        // raw_buffer: TLS whose ALPN says http/1.1 would land here too.
        filter_chain_match: {
          transport_protocol: "raw_buffer",
          application_protocols: ["http/1.0", "http/1.1", "h2c"],
        },
        filters: [proxiedHttp(direction)],
      },
      { name: "tls", filter_chain_match: { transport_protocol: "tls" }, filters: [tcpProxy(direction)] },
    ],
    default_filter_chain: { name: "tcp", filters: [tcpProxy(direction)] },
  });
}

/** Path of the proxy's metrics, on its own listener and on Envoy's admin interface. */
const STATS_PATH = "/stats/prometheus";

/** The proxy's listeners: the two that capture, its health for the kubelet, its metrics for Prometheus. */
export function listeners(): Message[] {
  return [
    captureListener("outbound"),
    captureListener("inbound"),
    typed(LISTENER, {
      name: "health",
      ...listenOn(ports.health, "any"),
      ignore_global_conn_limit: true,
      filter_chains: [{ filters: [health()] }],
    }),
    typed(LISTENER, {
      name: "stats",
      ...listenOn(ports.stats, "any"),
      filter_chains: [{
        filters: [onePath("stats", STATS_PATH, { route: { cluster: "admin", prefix_rewrite: STATS_PATH } })],
      }],
    }),
  ];
}
