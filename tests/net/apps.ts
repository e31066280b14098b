import { until } from "../cluster/processes.ts";
import { ROOT } from "../support/tree.ts";
import { type Pod, TENANT } from "./pods.ts";

/** Port of the demo apps in their pods. */
export const APP_PORT = 8080;

/**
 * Starts a demo app in a pod as a restricted container runs it: its uid, no capability, no_new_privs, only the permissions that its head names.
 * Program and sources lie in folders that this uid may not enter, so they are mounted where it may.
 */
export async function startApp(
  pod: Pod,
  name: "hospital-app" | "pharma-app",
  env: Record<string, string> = {},
): Promise<AsyncDisposable> {
  const variables = { PORT: `${APP_PORT}`, HOST: "::", ...env };
  const script = [
    "set -e",
    "mount -t tmpfs tmpfs /run && mkdir -m 777 /run/cache && mkdir /run/demo && : > /run/deno",
    'mount --bind "$PROGRAM" /run/deno && mount --bind "$SOURCES" /run/demo',
    'exec setpriv --reuid "$0" --regid "$0" --clear-groups --bounding-set -all --inh-caps -all --no-new-privs -- "$@"',
  ].join("\n");
  const run = ["/run/deno", "run", "--quiet", "--no-prompt", "--allow-net", "--allow-env=PORT,HOST,HOSPITAL_URL"];
  const command = ["unshare", "--mount", "sh", "-c", script, `${TENANT.uid}`, ...run, `/run/demo/${name}/main.ts`];
  const [program, ...args] = pod.namespace.enter(command);
  const child = new Deno.Command(program!, {
    args,
    env: { ...variables, DENO_DIR: "/run/cache", PROGRAM: Deno.execPath(), SOURCES: `${ROOT}demo` },
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  const app = {
    async [Symbol.asyncDispose]() {
      if (!ended) child.kill("SIGKILL");
      await child.status;
    },
  };
  try {
    await until(async () => {
      if (ended) throw new Error(`Cannot start ${name}: it ended`);
      const args = { to: "127.0.0.1", port: APP_PORT, limit: 0 };
      return (await pod.namespace.call("tcp", args)).connected || undefined;
    }, { ms: 20_000, what: `${name} that listens`, every: 50 });
  } catch (error) {
    await app[Symbol.asyncDispose]();
    throw error;
  }
  return app;
}
