import type { Container } from "kubernetes-types/core/v1.d.ts";
import { celFilter } from "./access_log.ts";
import { extension, type Message } from "./message.ts";

/** Environment variable of the proxy container: the pod's HTTP probes, as `probesVariable` writes them. */
export const PROBES_VARIABLE = "PROBES";

/** Environment variable of the proxy container: the addresses of the pod's node (downward API, `status.hostIPs` or `status.hostIP`). */
export const NODE_VARIABLE = "NODE_IP";

type Probe = NonNullable<Container["livenessProbe"]>;

/** Port of an httpGet action; absent if it names a port that the container does not have. */
function portNumber(container: Container, port: string | number): number | undefined {
  if (typeof port === "number" || /^\d+$/.test(port)) return Number(port);
  return container.ports?.find(({ name }) => name === port)?.containerPort;
}

function probeKeys(container: Container): string[] {
  const probes: (Probe | undefined)[] = [container.startupProbe, container.livenessProbe, container.readinessProbe];
  return probes.flatMap((probe) => {
    const get = probe?.httpGet;
    if (!get || (get.scheme ?? "HTTP") !== "HTTP") return [];
    const port = portNumber(container, get.port);
    const path = `/${(get.path ?? "").replace(/^\//, "")}`;
    // Others are recorded: they are escaped on their way, and the kubelet expands $(NAME) in a variable, so that they would match nothing.
    return port === undefined || !/^[!-#%-~]{1,256}$/.test(path) ? [] : [`${port}${path}`];
  });
}

/** Longest value of `PROBES_VARIABLE`: it is sent with every pod. */
const MAX_LENGTH = 1_024;

/**
 * Value of `PROBES_VARIABLE`: port and path of each plain HTTP probe of the consumer's containers, blanks around each. A successful GET of one of
 * them from the pod's own node is left out of the access log; absent or empty, everything is recorded, as are probes that find no room.
 */
export function probesVariable(containers: readonly Container[]): string {
  let value = "";
  for (const key of [...new Set(containers.flatMap(probeKeys))].sort()) {
    if (value.length + key.length + 2 <= MAX_LENGTH) value += ` ${key}`;
  }
  return value === "" ? "" : `${value} `;
}

const KEY = "data-space";

function text(format: string): Message {
  return { text_format_source: { inline_string: format } };
}

/** An HTTP filter that notes what `notProbe` compares: CEL sees no environment. */
export const probeFacts: Message = extension(
  "envoy.filters.http.set_filter_state",
  "envoy.extensions.filters.http.set_filter_state.v3.Config",
  {
    on_request_headers: [
      [`${KEY}.node`, `,%ENVIRONMENT(${NODE_VARIABLE})%,`],
      [`${KEY}.source`, ",%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%,"],
      [`${KEY}.probes`, `%ENVIRONMENT(${PROBES_VARIABLE})%`],
      [`${KEY}.probe`, " %DOWNSTREAM_LOCAL_PORT%%REQ(:PATH)% "],
    ].map(([key, format]) => ({ object_key: key, factory_key: "envoy.string", format_string: text(format!) })),
  },
);

/** A filter of an access log that leaves out successful probes of the kubelet, and nothing else. */
export const notProbe: Message = {
  or_filter: {
    filters: [
      status("LE", 199),
      status("GE", 400),
      { header_filter: { header: { name: ":method", string_match: { exact: "GET" }, invert_match: true } } },
      celFilter(
        `!(string(filter_state['${KEY}.node']).contains(string(filter_state['${KEY}.source'])) && ` +
          `string(filter_state['${KEY}.probes']).contains(string(filter_state['${KEY}.probe'])))`,
      ),
    ],
  },
};

function status(op: "LE" | "GE", value: number): Message {
  return { status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: "none" } } } };
}
