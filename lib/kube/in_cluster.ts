import type { Credentials } from "./credentials.ts";
import type { Surroundings } from "./surroundings.ts";
import { tokenFile } from "./token_file.ts";

const FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The credentials of the pod's service account, as the kubelet mounts them.
 * @throws {Error} if the environment or a file is missing.
 */
export function inCluster(around: Surroundings): Credentials {
  const host = around.env("KUBERNETES_SERVICE_HOST");
  const port = around.env("KUBERNETES_SERVICE_PORT") ?? "443";
  if (!host) throw new Error("KUBERNETES_SERVICE_HOST is not set");
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ca: around.read(`${FOLDER}/ca.crt`),
    token: tokenFile(`${FOLDER}/token`, around),
    namespace: around.read(`${FOLDER}/namespace`).trim(),
  };
}
