import { accessLog, type Direction } from "./access_log.ts";
import { extension, type Message, typed } from "./message.ts";
import { notProbe, probeFacts } from "./probes.ts";

const MANAGER = "envoy.filters.network.http_connection_manager";
const MANAGER_TYPE = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/** HTTP/1 as it came: header names keep their case, trailers pass. Used towards both sides. */
export const http1: Message = {
  accept_http_10: true,
  // HTTP/1.0 may lack Host, which Envoy does not take without this.
  default_host_for_http_10: "no-host.invalid",
  // Offers that a server may decline; h2c is declined without being named here. Any other protocol is refused with 403.
  ignore_http_11_upgrade: [{ prefix: "TLS/", ignore_case: true }, { prefix: "HTTP/", ignore_case: true }],
  enable_trailers: true,
  header_key_format: {
    stateful_formatter: extension(
      "preserve_case",
      "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
    ),
  },
};

/** HTTP/2 with bounded memory: 64 KiB a stream, 1 MiB a connection. Used towards both sides. */
export const http2: Message = {
  max_concurrent_streams: 100,
  initial_stream_window_size: 65_536,
  initial_connection_window_size: 1_048_576,
};

function router(fields: Message = {}): Message {
  return extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", fields);
}

/** A network filter that reads HTTP, changes as little of it as possible, and sends it where the packets were going, whatever Host says. */
export function proxiedHttp(direction: Direction): Message {
  return extension(MANAGER, MANAGER_TYPE, {
    stat_prefix: direction,
    codec_type: "AUTO",
    // Together these add, change and trust no header: nobody is internal, so x-envoy-* of a consumer (retries, timeouts) has no effect.
    use_remote_address: true,
    skip_xff_append: true,
    internal_address_config: { cidr_ranges: [{ address_prefix: "::", prefix_len: 128 }] },
    generate_request_id: false,
    server_header_transformation: "PASS_THROUGH",
    proxy_100_continue: true,
    http_protocol_options: http1,
    http2_protocol_options: http2,
    upgrade_configs: ["websocket", "tcp", "spdy/3.1"].map((upgrade_type) => ({ upgrade_type })),
    // What is recorded is what the server gets: dots and double slashes resolved; escaped slashes are left to it, as honest clients send them.
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: "KEEP_UNCHANGED",
    max_request_headers_kb: 60,
    request_headers_timeout: "10s",
    // A silent stream (long poll, WebSocket) lives a day; a connection without a stream two hours.
    stream_idle_timeout: "86400s",
    common_http_protocol_options: { idle_timeout: "7200s", max_headers_count: 200 },
    access_log: [accessLog(direction, direction === "inbound" ? notProbe : undefined)],
    access_log_options: { access_log_flush_interval: "10s", flush_log_on_tunnel_successfully_established: true },
    http_filters: [...(direction === "inbound" ? [probeFacts] : []), router({ suppress_envoy_headers: true })],
    route_config: {
      name: direction,
      request_headers_to_remove: ["x-forwarded-proto", "x-envoy-external-address"],
      virtual_hosts: [
        {
          name: "any",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, route: { cluster: direction, timeout: "0s" } }],
        },
      ],
    },
  });
}

/** A network filter that answers GET of one path by `route`, behind these HTTP filters, and nothing else. */
export function onePath(name: string, path: string, route: Message, httpFilters: Message[] = []): Message {
  return extension(MANAGER, MANAGER_TYPE, {
    stat_prefix: name,
    request_headers_timeout: "5s",
    common_http_protocol_options: { idle_timeout: "60s" },
    http_filters: [...httpFilters, router()],
    route_config: {
      virtual_hosts: [{
        name,
        domains: ["*"],
        routes: [{ match: { path, headers: [{ name: ":method", string_match: { exact: "GET" } }] }, ...route }],
      }],
    },
  });
}

/** Upstream options of a cluster: HTTP/1 or HTTP/2, as the opener of the connection chose. */
export const upstreamHttp: Message = {
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    {
      use_downstream_protocol_config: { http_protocol_options: http1, http2_protocol_options: http2 },
      // A NetworkPolicy that comes leaves connections alone, and requests share ours: after this time they need a new one. What is under way, a
      // stream of TCP or a WebSocket too, is not cut.
      common_http_protocol_options: { max_connection_duration: "30s" },
    },
  ),
};
