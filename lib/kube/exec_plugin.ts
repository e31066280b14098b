import { encodeText } from "./base64.ts";
import type { Credentials } from "./credentials.ts";
import type { Surroundings } from "./surroundings.ts";

/** The `exec` entry of a kubeconfig's user (client.authentication.k8s.io). */
export interface ExecPlugin {
  apiVersion?: string;
  command?: string;
  args?: string[] | null;
  env?: { name: string; value: string }[] | null;
  installHint?: string;
  provideClusterInfo?: boolean;
}

interface ExecStatus {
  token?: string;
  clientCertificateData?: string;
  clientKeyData?: string;
  expirationTimestamp?: string;
}

/** A token is fetched anew this long before it ends. */
const EARLY_MS = 30_000;

/**
 * Runs the plugin, and again whenever its token has ended or was refused. A certificate is taken once: connections
 * hold it.
 * @throws {Error} if the first run gives no credential.
 */
export function execCredential(
  plugin: ExecPlugin,
  folder: string,
  around: Surroundings,
  cluster: { server: string; ca: string | undefined },
): Pick<Credentials, "cert" | "key" | "token"> {
  let status = runPlugin(plugin, folder, around, cluster);
  const { clientCertificateData: cert, clientKeyData: key } = status;
  return {
    ...(cert && key ? { cert, key } : {}),
    ...(status.token === undefined ? {} : {
      token: (options): string | undefined => {
        const ends = Date.parse(status.expirationTimestamp ?? "");
        if (options?.fresh || ends - EARLY_MS <= around.now()) status = runPlugin(plugin, folder, around, cluster);
        return status.token;
      },
    }),
  };
}

function runPlugin(
  plugin: ExecPlugin,
  folder: string,
  around: Surroundings,
  cluster: { server: string; ca: string | undefined },
): ExecStatus {
  const { apiVersion = "client.authentication.k8s.io/v1", command } = plugin;
  if (!command) throw new Error("exec.command is missing");
  const info = {
    apiVersion,
    kind: "ExecCredential",
    spec: {
      interactive: false,
      ...(plugin.provideClusterInfo
        ? {
          cluster: {
            server: cluster.server,
            ...(cluster.ca === undefined ? {} : { "certificate-authority-data": encodeText(cluster.ca) }),
          },
        }
        : {}),
    },
  };
  // As in kubectl: a command with a slash is relative to the file, one without is looked up in PATH.
  const path = command.includes("/") && !command.startsWith("/") ? folder + command : command;
  const env = Object.fromEntries((plugin.env ?? []).map(({ name, value }) => [name, value]));
  let status: ExecStatus;
  try {
    const output = around.run(path, plugin.args ?? [], { ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) });
    status = JSON.parse(output).status ?? {};
  } catch (cause) {
    const hint = plugin.installHint ? ` (${plugin.installHint.trim()})` : "";
    throw new Error(`exec plugin "${command}" failed: ${cause instanceof Error ? cause.message : cause}${hint}`, {
      cause,
    });
  }
  if (!status.token && !(status.clientCertificateData && status.clientKeyData)) {
    throw new Error(`exec plugin "${command}" gave neither a token nor a certificate with its key`);
  }
  return status;
}
