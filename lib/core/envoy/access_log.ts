import { extension, type Message, typed } from "./message.ts";

/** Which way a connection goes, seen from the pod. */
export type Direction = "outbound" | "inbound";

/**
 * One format for HTTP and TCP; what does not apply to a connection is absent. Addresses are ground truth, host and SNI are the consumer's
 * words; every string that a consumer or its peer chooses has a length.
 */
function format(direction: Direction): Message {
  return {
    omit_empty_values: true,
    formatters: [
      extension(
        "envoy.formatter.req_without_query",
        "envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
      ),
    ],
    json_format: {
      time: "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
      // …End: the one record that every request or connection gets. …Start, …Periodic and …Established: while a long one lasts.
      type: "%ACCESS_LOG_TYPE%",
      direction,
      // http, tls or tcp; absent where a connection ended before it showed what it is.
      chain: "%FILTER_CHAIN_NAME%",
      // The direct peer: x-forwarded-for cannot change it.
      source: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
      // Where the packets were going.
      destination: "%DOWNSTREAM_LOCAL_ADDRESS%",
      protocol: "%PROTOCOL%",
      method: "%REQ(:METHOD):32%",
      host: "%REQ(:AUTHORITY):256%",
      path: "%REQ_WITHOUT_QUERY(:PATH):512%",
      sni: "%REQUESTED_SERVER_NAME%",
      status: "%RESPONSE_CODE%",
      flags: "%RESPONSE_FLAGS%",
      details: "%RESPONSE_CODE_DETAILS%",
      termination: "%CONNECTION_TERMINATION_DETAILS%",
      // Bodies of HTTP, or all of a connection; as the opener of the connection sees it.
      bytes_up: "%BYTES_RECEIVED%",
      bytes_down: "%BYTES_SENT%",
      headers_up: "%REQUEST_HEADERS_BYTES%",
      headers_down: "%RESPONSE_HEADERS_BYTES%",
      duration_ms: "%DURATION%",
      consumer: "%ENVIRONMENT(CONSUMER_ID)%",
      claimed_consumer: "%ENVIRONMENT(CLAIMED_CONSUMER_ID)%",
      namespace: "%ENVIRONMENT(POD_NAMESPACE)%",
      pod: "%ENVIRONMENT(POD_NAME)%",
    },
  };
}

/** An access log on stdout, one JSON object a line; `filter` says which records it writes, all without. */
export function accessLog(direction: Direction, filter?: Message): Message {
  return {
    name: "envoy.access_loggers.stdout",
    ...(filter && { filter }),
    typed_config: typed("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", { log_format: format(direction) }),
  };
}

/** A filter of an access log by a CEL expression over Envoy's attributes. */
export function celFilter(expression: string): Message {
  return {
    extension_filter: extension(
      "envoy.access_loggers.extension_filters.cel",
      "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
      // Filter state comes as bytes: string() makes text of it.
      { expression, cel_config: { enable_string_conversion: true } },
    ),
  };
}

/** Connections that no filter chain took, for example closed while being looked at; a chain's own log has all others. */
export const noChain: Message = celFilter("xds.filter_chain_name == ''");
