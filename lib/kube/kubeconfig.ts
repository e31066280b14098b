import type { Credentials } from "./credentials.ts";
import type { Surroundings } from "./surroundings.ts";
import { tokenFile } from "./token_file.ts";
import { execCredential, type ExecPlugin } from "./exec_plugin.ts";
import type { Impersonation } from "./transport.ts";

interface Cluster {
  server?: string;
  "certificate-authority"?: string;
  "certificate-authority-data"?: string;
  "insecure-skip-tls-verify"?: boolean;
  "tls-server-name"?: string;
  "proxy-url"?: string;
}

interface User {
  "client-certificate"?: string;
  "client-certificate-data"?: string;
  "client-key"?: string;
  "client-key-data"?: string;
  token?: string;
  tokenFile?: string;
  exec?: ExecPlugin;
  username?: string;
  "auth-provider"?: unknown;
  as?: string;
  "as-groups"?: string[];
  "as-uid"?: string;
}

interface Context {
  cluster?: string;
  user?: string;
  namespace?: string;
}

/** A named entry and the folder of its file, to which its paths are relative. */
interface Entry<T> {
  value: T;
  folder: string;
}

interface Merged {
  current: string | undefined;
  clusters: Map<string, Entry<Cluster>>;
  users: Map<string, Entry<User>>;
  contexts: Map<string, Entry<Context>>;
}

/**
 * The credentials that one context of some kubeconfig files means; of entries with the same name the first one
 * counts, as with kubectl. Files may be YAML or JSON.
 * @throws {Error} naming the field at fault.
 */
export async function fromKubeconfig(
  paths: readonly string[],
  around: Surroundings,
  contextName?: string,
): Promise<Credentials> {
  const merged = await merge(paths, around);
  const name = contextName ?? merged.current;
  if (!name) throw new Error("current-context is not set; name one with --context");
  const context = find(merged.contexts, "context", name).value;
  const { value: cluster, folder } = find(merged.clusters, "cluster", context.cluster);
  const { value: user, folder: userFolder } = context.user
    ? find(merged.users, "user", context.user)
    : { value: {} as User, folder };

  const server = serverOf(cluster, `cluster "${context.cluster}"`);
  const ca = pem(cluster["certificate-authority-data"], cluster["certificate-authority"], folder, around);
  return {
    server,
    ...(ca === undefined ? {} : { ca }),
    ...identity(user, `user "${context.user}"`, userFolder, around, { server, ca }),
    ...(context.namespace ? { namespace: context.namespace } : {}),
  };
}

/** What runs in a cluster does not load the library, nor what has a kubeconfig in JSON. */
async function parseYaml(text: string) {
  const { parse } = await import("yaml");
  return parse(text);
}

async function merge(paths: readonly string[], around: Surroundings): Promise<Merged> {
  const merged: Merged = { current: undefined, clusters: new Map(), users: new Map(), contexts: new Map() };
  for (const path of paths) {
    const text = around.read(path);
    const config = text.trimStart().startsWith("{") ? JSON.parse(text) : await parseYaml(text);
    if (typeof config !== "object" || config === null) throw new Error(`"${path}" is not a kubeconfig`);
    const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
    merged.current ||= config["current-context"];
    for (
      const [into, list, key] of [["clusters", config.clusters, "cluster"], ["users", config.users, "user"], [
        "contexts",
        config.contexts,
        "context",
      ]] as const
    ) {
      for (const entry of Array.isArray(list) ? list : []) {
        if (!merged[into].has(entry?.name)) merged[into].set(entry?.name, { value: entry?.[key] ?? {}, folder });
      }
    }
  }
  return merged;
}

function find<T>(entries: Map<string, Entry<T>>, what: string, name: string | undefined): Entry<T> {
  const entry = entries.get(name ?? "");
  if (entry !== undefined) return entry;
  throw new Error(`there is no ${what} "${name ?? ""}", only ${[...entries.keys()].join(", ") || "none at all"}`);
}

/** @throws {Error} for what `fetch` cannot do; to connect in another way than the file says would be worse. */
function serverOf(cluster: Cluster, where: string): string {
  const { server } = cluster;
  if (!server || !URL.canParse(server)) throw new Error(`${where}: server is not a URL`);
  if (cluster["insecure-skip-tls-verify"]) {
    throw new Error(`${where}: insecure-skip-tls-verify is not supported; give certificate-authority-data instead`);
  }
  const host = new URL(server).hostname.replace(/^\[|\]$/g, "");
  const expected = cluster["tls-server-name"];
  if (expected && expected !== host) {
    throw new Error(`${where}: tls-server-name is not supported; use a server URL with the host "${expected}"`);
  }
  if (cluster["proxy-url"]) {
    throw new Error(`${where}: proxy-url is not supported; set the environment variable HTTPS_PROXY instead`);
  }
  return server;
}

function identity(
  user: User,
  where: string,
  folder: string,
  around: Surroundings,
  cluster: { server: string; ca: string | undefined },
): Pick<Credentials, "cert" | "key" | "token" | "impersonate"> {
  if (user["auth-provider"] || user.username) {
    throw new Error(`${where}: ${user.username ? "username" : "auth-provider"} is not supported; use exec or a token`);
  }
  const impersonate = impersonationOf(user);
  const base = impersonate === undefined ? {} : { impersonate };
  const cert = pem(user["client-certificate-data"], user["client-certificate"], folder, around);
  const key = pem(user["client-key-data"], user["client-key"], folder, around);
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error(`${where}: client-certificate and client-key belong together, one is missing`);
  }
  const pair = cert !== undefined && key !== undefined ? { cert, key } : {};
  // As in kubectl, a token in the file counts before one that must be fetched, and tokenFile before token.
  if (user.tokenFile) return { ...base, ...pair, token: tokenFile(resolve(user.tokenFile, folder), around) };
  const { token } = user;
  if (token) return { ...base, ...pair, token: () => token };
  if (user.exec && cert === undefined) {
    try {
      return { ...base, ...execCredential(user.exec, folder, around, cluster) };
    } catch (cause) {
      throw new Error(`${where}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  }
  return { ...base, ...pair };
}

function impersonationOf(user: User): Impersonation | undefined {
  if (!user.as) return undefined;
  return { user: user.as, groups: user["as-groups"] ?? [], ...(user["as-uid"] ? { uid: user["as-uid"] } : {}) };
}

/** PEM from base64 data, which counts first, or from a file. */
function pem(data: string | undefined, path: string | undefined, folder: string, around: Surroundings) {
  if (data) return new TextDecoder().decode(Uint8Array.fromBase64(data));
  return path ? around.read(resolve(path, folder)) : undefined;
}

function resolve(path: string, folder: string): string {
  return path.startsWith("/") ? path : folder + path;
}
