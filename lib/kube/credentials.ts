import { inCluster } from "./in_cluster.ts";
import { fromKubeconfig } from "./kubeconfig.ts";
import type { TokenSource } from "./token_file.ts";
import type { Surroundings } from "./surroundings.ts";
import type { Impersonation } from "./transport.ts";

/** Where the API server is and who we are to it. */
export interface Credentials {
  /** Base URL. */
  server: string;
  /** PEM of the authorities to trust; absent: the system's. */
  ca?: string;
  /** PEM of the client certificate and its key. */
  cert?: string;
  key?: string;
  token?: TokenSource;
  /** The namespace of the service account or of the kubeconfig's context. */
  namespace?: string;
  impersonate?: Impersonation;
}

/** What {@linkcode loadCredentials} may be told; the {@linkcode Surroundings} are the machine's if absent. */
export interface CredentialsOptions extends Partial<Surroundings> {
  /** Read this file and nothing else. */
  kubeconfig?: string | undefined;
  /** The kubeconfig's context; absent: its current one. */
  context?: string | undefined;
}

/**
 * The credentials of the first source that has any: the kubeconfig that is named, those of `KUBECONFIG`, the pod's
 * service account, `~/.kube/config`. A source that exists but is wrong ends the search: to go on would mean another
 * cluster.
 * @throws {Error} that lists every source tried and why it did not serve.
 */
export async function loadCredentials(options: CredentialsOptions = {}): Promise<Credentials> {
  const { read = Deno.readTextFileSync, env = readEnv, run = runSync, now = Date.now } = options;
  const tried: string[] = [];
  for (const { name, absent, load } of sources(options, { read, env, run, now })) {
    try {
      if (absent === undefined) return await load();
      tried.push(`${name}: ${absent}`);
    } catch (cause) {
      tried.push(`${name}: ${cause instanceof Error ? cause.message : cause}`);
      throw new Error(`${NOT_FOUND}: ${tried.join("; ")}`, { cause });
    }
  }
  throw new Error(`${NOT_FOUND}: ${tried.join("; ")}`);
}

const NOT_FOUND = "Cannot find credentials for the API server";

/** A place to look, or why there is no use in it. */
interface Source {
  name: string;
  absent?: string | undefined;
  load: () => Promise<Credentials> | Credentials;
}

function sources({ kubeconfig, context }: CredentialsOptions, around: Surroundings): Source[] {
  const file = (name: string, paths: string[], absent?: string): Source => {
    return { name, absent, load: () => fromKubeconfig(paths, around, context) };
  };
  if (kubeconfig !== undefined) return [file(`kubeconfig "${kubeconfig}"`, [kubeconfig])];
  const { env } = around;
  const named = (env("KUBECONFIG") ?? "").split(":").filter((path) => path !== "");
  const home = env("HOME");
  let outside: string | undefined;
  if (context !== undefined) outside = `it has no context "${context}"`;
  else if (!env("KUBERNETES_SERVICE_HOST")) outside = "KUBERNETES_SERVICE_HOST is not set";
  return [
    file("environment variable KUBECONFIG", named, named.length === 0 ? "not set" : undefined),
    { name: "service account of the pod", absent: outside, load: () => inCluster(around) },
    file(`kubeconfig "${home ?? "~"}/.kube/config"`, [`${home}/.kube/config`], home ? undefined : "HOME is not set"),
  ];
}

function readEnv(name: string): string | undefined {
  return Deno.env.get(name);
}

// Synchronous, since a token is asked for while a request is put together. Exec plugins belong to workstations.
function runSync(command: string, args: string[], env: Record<string, string>): string {
  const { success, code, stdout, stderr } = new Deno.Command(command, { args, env, stdin: "null" }).outputSync();
  const text = new TextDecoder();
  if (!success) throw new Error(`exit code ${code}: ${text.decode(stderr).trim().slice(0, 500)}`);
  return text.decode(stdout);
}
