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
  const around: Surroundings = { read, env, run, now };
  const { kubeconfig, context } = options;

  const fromEnv = (env("KUBECONFIG") ?? "").split(Deno.build.os === "windows" ? ";" : ":").filter((path) =>
    path !== ""
  );
  const home = env("HOME") ?? env("USERPROFILE");
  const sources: { name: string; absent: string | undefined; load: () => Promise<Credentials> | Credentials }[] = [];
  if (kubeconfig !== undefined) {
    const load = () => fromKubeconfig([kubeconfig], around, context);
    sources.push({ name: `kubeconfig "${kubeconfig}"`, absent: undefined, load });
  } else {
    sources.push({
      name: "environment variable KUBECONFIG",
      absent: fromEnv.length === 0 ? "not set" : undefined,
      load: () => fromKubeconfig(fromEnv, around, context),
    }, {
      name: "service account of the pod",
      absent: context !== undefined
        ? `a context ("${context}") was asked for`
        : env("KUBERNETES_SERVICE_HOST")
        ? undefined
        : "KUBERNETES_SERVICE_HOST is not set",
      load: () => inCluster(around),
    }, {
      name: `kubeconfig "${home}/.kube/config"`,
      absent: home === undefined ? "HOME is not set" : undefined,
      load: () => fromKubeconfig([`${home}/.kube/config`], around, context),
    });
  }

  const tried: string[] = [];
  for (const { name, absent, load } of sources) {
    if (absent !== undefined) {
      tried.push(`${name}: ${absent}`);
      continue;
    }
    try {
      return await load();
    } catch (cause) {
      tried.push(`${name}: ${cause instanceof Error ? cause.message : cause}`);
      throw new Error(`Cannot find credentials for the API server: ${tried.join("; ")}`, { cause });
    }
  }
  throw new Error(`Cannot find credentials for the API server: ${tried.join("; ")}`);
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
