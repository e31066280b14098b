import { paths } from "../names.ts";
import type { Direction } from "./access_log.ts";
import { upstreamHttp } from "./http.ts";
import { keepalive } from "./keepalive.ts";
import { type Message, typed } from "./message.ts";

const CLUSTER = "envoy.config.cluster.v3.Cluster";

/** Path of the admin interface, a Unix socket in a volume of the proxy alone. */
export const ADMIN_SOCKET = `${paths.run}/admin.sock`;

/** Sends every connection to where its packets were going. Never by a header (`use_http_header`): the consumer would choose. */
function originalDestination(name: Direction): Message {
  return typed(CLUSTER, {
    name,
    type: "ORIGINAL_DST",
    lb_policy: "CLUSTER_PROVIDED",
    connect_timeout: "5s",
    per_connection_buffer_limit_bytes: 32_768,
    cleanup_interval: "60s",
    upstream_connection_options: { tcp_keepalive: keepalive },
    // Envoy's default of 1024 would also limit honest load.
    circuit_breakers: { thresholds: [{ max_connections: 4_096, max_pending_requests: 4_096, max_requests: 4_096 }] },
    typed_extension_protocol_options: upstreamHttp,
  });
}

/** The proxy's clusters: original destinations, one for each direction, and its own admin interface. */
export function clusters(): Message[] {
  return [
    originalDestination("outbound"),
    originalDestination("inbound"),
    typed(CLUSTER, {
      name: "admin",
      type: "STATIC",
      connect_timeout: "0.25s",
      load_assignment: {
        cluster_name: "admin",
        endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: ADMIN_SOCKET } } } }] }],
      },
    }),
  ];
}
