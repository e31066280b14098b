import type { Cluster } from "./cluster.ts";
import { kubeconfig } from "./control_plane.ts";
import type { DataSpacer } from "./data_spacer.ts";
import { freePort } from "./network.ts";
import { until } from "./processes.ts";

const FORWARD = decodeURIComponent(new URL("forward.ts", import.meta.url).pathname);

/** What lies between one replica and the API server, and can fail for that replica alone. */
export class Wire {
  /** Flag that has a replica reach the API server by this wire. */
  readonly flag: string;
  /** Tells this replica's requests from those of others in the audit log. */
  readonly credential: string;
  readonly #cluster: Cluster;
  readonly #name: string;
  readonly #port: number;

  private constructor(cluster: Cluster, given: { name: string; port: number; flag: string; credential: string }) {
    this.#cluster = cluster;
    this.#name = given.name;
    this.#port = given.port;
    this.flag = given.flag;
    this.credential = given.credential;
  }

  /** A wire that works; `name` is new in the cluster. */
  static async lay(
    cluster: Cluster,
    name: string,
    account: Pick<DataSpacer, "namespace" | "serviceAccount">,
  ): Promise<Wire> {
    const port = freePort();
    const token = await cluster.token(account.namespace, account.serviceAccount);
    const file = `${cluster.processes.folder}/${name}.kubeconfig`;
    const server = `https://127.0.0.1:${port}`;
    await Deno.writeTextFile(file, kubeconfig(server, { ca: cluster.ca, user: { token } }), { mode: 0o600 });
    const wire = new Wire(cluster, { name, port, flag: `--kubeconfig=${file}`, credential: credentialOf(token) });
    await wire.mend();
    return wire;
  }

  /** Nothing passes any more, and nobody is told: as when a cable is cut. */
  async freeze(): Promise<void> {
    Deno.kill((await this.#cluster.processes.pid(this.#name))!, "SIGSTOP");
  }

  /** What was on its way goes on. */
  async thaw(): Promise<void> {
    Deno.kill((await this.#cluster.processes.pid(this.#name))!, "SIGCONT");
  }

  /** Every connection breaks, and new ones are refused. */
  async cut(): Promise<void> {
    await this.#cluster.processes.stop(this.#name, "SIGKILL");
  }

  /** New connections are possible again. */
  async mend(): Promise<void> {
    const command = [
      Deno.execPath(),
      "run",
      "--allow-net",
      FORWARD,
      String(this.#port),
      new URL(this.#cluster.server).port,
    ];
    await this.#cluster.processes.start(this.#name, { command });
    await until(async () => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.#port }).catch(() => undefined);
      connection?.close();
      return connection && true;
    }, { ms: 10_000, what: "wire" });
  }
}

/** What the audit log calls a ServiceAccount's token: `JTI=<its id>`. */
export function credentialOf(token: string): string {
  const [, claims] = token.split(".");
  const { jti } = JSON.parse(atob(claims!.replaceAll("-", "+").replaceAll("_", "/"))) as { jti: string };
  return `JTI=${jti}`;
}
