import bootstrap from "../assets/envoy.yaml" with { type: "text" };
import { sha256 } from "./digest.ts";
import { ADMIN_SOCKET, clusters } from "./envoy/clusters.ts";
import { listeners } from "./envoy/listeners.ts";
import type { Message } from "./envoy/message.ts";
import { envoyFiles, paths } from "./names.ts";

/**
 * Envoy's command line behind `-c FILE`. `--disable-hot-restart` is part of the boundary: the hot-restart sockets are abstract, so every process
 * of the pod could take Envoy's listening sockets over. Unknown fields are refused, or a misspelt limit would be ignored in silence.
 */
export const proxyArgs: readonly string[] = [
  "--disable-hot-restart",
  "--concurrency",
  "1",
  "--reject-unknown-dynamic-fields",
  "--file-flush-interval-msec",
  "1000",
  "--drain-time-s",
  "5",
  "--drain-strategy",
  "immediate",
  "--log-level",
  "warning",
];

/** A file of dynamic resources. Its version is derived from the contents: Envoy's gauges show the version, not the contents. */
function resourceFile(resources: Message[]): string {
  const version = sha256(JSON.stringify(resources)).slice(0, 16);
  return JSON.stringify({ version_info: version, resources });
}

/** The data of the ConfigMap with Envoy's configuration: file name to text, the same for all pods of all namespaces. */
export function renderEnvoyConfig(): Record<string, string> {
  const values: Record<string, string> = {
    ADMIN_SOCKET,
    CONFIG: paths.config,
    LISTENERS: envoyFiles.listeners,
    CLUSTERS: envoyFiles.clusters,
  };
  return {
    [envoyFiles.bootstrap]: bootstrap.replace(/@([A-Z_]+)@/g, (_, name: string) => values[name]!),
    [envoyFiles.listeners]: resourceFile(listeners()),
    [envoyFiles.clusters]: resourceFile(clusters()),
  };
}
