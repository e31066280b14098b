import type { Container } from "kubernetes-types/core/v1.d.ts";
import { parseAllDocuments } from "yaml";
import type { Cluster } from "./cluster.ts";
import { freePort } from "./network.ts";
import { type ExitCode, until } from "./processes.ts";

/** Options of {@linkcode startDataSpacer}. */
export interface DataSpacerOptions extends ReplicaOptions {
  /** Kustomize folder to apply; by default `deploy/base`. */
  manifests?: string;
  /** Replicas to start; by default 1. */
  replicas?: number;
}

/** Options of {@linkcode DataSpacer.startReplica}. */
export interface ReplicaOptions {
  /** Flags of `serve` behind those of the Deployment; the last one of a name counts. */
  flags?: string[];
  /** Environment variables besides those of the Deployment. */
  env?: Record<string, string>;
  /** Program to run; by default main.ts under Deno, with {@linkcode PERMISSIONS}. */
  command?: string[];
}

/** One line of the log. */
export interface LogLine {
  /** Constant for each kind of line. */
  message?: string;
  /** For example `info`. */
  level?: string;
  /** The fields, and `text` where the line is not JSON. */
  [field: string]: unknown;
}

/** Permissions of the process under test: as in the image, with nothing to prompt for. */
export const PERMISSIONS = ["--no-prompt", "--allow-net", "--allow-read", "--allow-env"];

/** Addresses of the cluster's DNS as far as the tests go; nothing answers there. */
const RESOLVERS = "10.96.0.10";
const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);
const READY_MS = 30_000;

/** What the tests need to know of the manifests. */
interface Manifests {
  namespace: string;
  serviceAccount: string;
  /** Service of the webhook, and the name of the port that the webhook configuration means; "" for one without name. */
  service: { name: string; port: string };
  container: Container;
}

/**
 * Installs Data Spacer on a cluster without nodes: applies the manifests unchanged, and runs what their Deployment would run
 * as processes of this machine, under the same ServiceAccount and flags. The API server finds them through the webhook's own
 * Service, to which each ready replica adds an EndpointSlice.
 *
 * @throws {Error} with the output of kubectl, or with the log of a replica that does not get ready.
 */
export async function startDataSpacer(cluster: Cluster, options: DataSpacerOptions = {}): Promise<DataSpacer> {
  const { manifests = `${ROOT}deploy/base`, replicas = 1, ...replicaOptions } = options;
  await kubectl(cluster, ["apply", "-k", manifests]);
  const text = await kubectl(cluster, ["kustomize", manifests]);
  const installed = new DataSpacer(
    cluster,
    readManifests(parseAllDocuments(text).map((document) => document.toJS())),
    manifests,
  );
  await Promise.all(Array.from({ length: replicas }, () => installed.startReplica(replicaOptions)));
  return installed;
}

/** Data Spacer on a test cluster. */
export class DataSpacer implements AsyncDisposable {
  /** Its own namespace. */
  readonly namespace: string;
  /** ServiceAccount of its replicas. */
  readonly serviceAccount: string;
  /** All replicas started so far, the ended ones too. */
  readonly replicas: Replica[] = [];
  readonly #cluster: Cluster;
  readonly #manifests: Manifests;
  readonly #folder: string;

  /** Use {@linkcode startDataSpacer}. */
  constructor(cluster: Cluster, manifests: Manifests, folder: string) {
    this.#cluster = cluster;
    this.#manifests = manifests;
    this.#folder = folder;
    this.namespace = manifests.namespace;
    this.serviceAccount = manifests.serviceAccount;
  }

  /** The first replica. */
  get replica(): Replica {
    return this.replicas[0]!;
  }

  /** Starts one more replica and waits until it is ready and the API server can reach it. */
  async startReplica(options: ReplicaOptions = {}): Promise<Replica> {
    const { processes, webhookAddress } = this.#cluster;
    const { container, namespace, service } = this.#manifests;
    const name = `data-spacer-${this.replicas.length}`;
    const ports = { webhook: freePort(), ops: freePort() };
    const replica = new Replica(this.#cluster, { name, namespace, address: webhookAddress, ports });
    this.replicas.push(replica);

    const tokenFile = `${processes.folder}/${name}.token`;
    await Deno.writeTextFile(tokenFile, await this.#cluster.token(namespace, this.serviceAccount), { mode: 0o600 });
    const flags = [
      `--kubeconfig=${await this.#cluster.writeKubeconfig(name, { tokenFile })}`,
      `--namespace=${namespace}`,
      `--pod-name=${name}`,
      `--bind-address=${webhookAddress}`,
      `--webhook-port=${ports.webhook}`,
      `--ops-port=${ports.ops}`,
      `--resolvers=${RESOLVERS}`,
    ];
    const { command = [Deno.execPath(), "run", "--quiet", ...PERMISSIONS, `${ROOT}main.ts`] } = options;
    const args = container.args?.length ? container.args : ["serve"];
    await replica.start({
      command: [...command, ...args, ...flags, ...options.flags ?? []],
      env: { ...literals(container), ...options.env },
    });
    await replica.join(service);
    return replica;
  }

  /** Ends all replicas and deletes what the manifests hold. */
  async uninstall(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await kubectl(this.#cluster, ["delete", "-k", this.#folder, "--ignore-not-found", "--wait=false"]);
  }

  /** Kills all replicas. The manifests stay applied. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.kill()));
  }
}

/** One process under test. */
export class Replica {
  /** Its pod name, also that of its log. */
  readonly name: string;
  /** Where its webhook listens. */
  readonly webhook: URL;
  /** Where /healthz, /readyz and /metrics are. */
  readonly ops: URL;
  /** From the start of the process to its first positive /readyz, ms. */
  readyMs = NaN;
  readonly #cluster: Cluster;
  readonly #slice: string;

  /** Use {@linkcode DataSpacer.startReplica}. */
  constructor(
    cluster: Cluster,
    given: { name: string; namespace: string; address: string; ports: { webhook: number; ops: number } },
  ) {
    const { name, namespace, address, ports } = given;
    this.name = name;
    this.webhook = new URL(`https://${address}:${ports.webhook}`);
    this.ops = new URL(`http://${address}:${ports.ops}`);
    this.#cluster = cluster;
    this.#slice = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  }

  /** Starts the process and waits until it is ready. */
  async start(options: { command: string[]; env: Record<string, string> }): Promise<void> {
    const start = performance.now();
    await this.#cluster.processes.start(this.name, options);
    await until(async () => {
      if (await this.ready()) return true;
      const code = await this.exitCode();
      if (code === undefined) return undefined;
      throw new Error(
        `Cannot start Data Spacer: it ended with ${code}:\n${await this.#cluster.processes.logTail(this.name)}`,
      );
    }, { ms: READY_MS, what: `ready ${this.name}` }).catch(async (cause) => {
      throw new Error(`${cause.message}\n${await this.#cluster.processes.logTail(this.name)}`, { cause });
    });
    this.readyMs = performance.now() - start;
  }

  /** Lets the API server call it, as a ready pod of the Service. */
  async join(service: { name: string; port: string }): Promise<void> {
    const port = Number(this.webhook.port);
    await this.#cluster.call(this.#slice, {
      body: {
        metadata: {
          name: this.name,
          labels: {
            "kubernetes.io/service-name": service.name,
            "endpointslice.kubernetes.io/managed-by": "tests.data-spacer", // so the cluster's own controller leaves it alone
          },
        },
        addressType: "IPv4",
        endpoints: [{ addresses: [this.webhook.hostname], conditions: { ready: true } }],
        ports: [{ name: service.port, port, protocol: "TCP" }],
      },
    });
  }

  /** Takes it out of the Service, as a terminating pod. */
  async leave(): Promise<void> {
    await this.#cluster.request(`${this.#slice}/${this.name}`, { method: "DELETE" }).catch(() => {}); // the API server may be down
  }

  /** Whether /readyz says yes. */
  async ready(): Promise<boolean> {
    try {
      const response = await fetch(new URL("/readyz", this.ops), { signal: AbortSignal.timeout(2_000) });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }

  /** Ends it as a kubelet does: out of the Service, then SIGTERM. Returns its exit code. */
  async stop(): Promise<ExitCode> {
    await this.leave();
    return await this.#cluster.processes.stop(this.name, "SIGTERM");
  }

  /** Ends it as a crash does (kill -9); the Service forgets it afterwards. */
  async kill(): Promise<void> {
    await this.#cluster.processes.stop(this.name, "SIGKILL");
    await this.leave();
  }

  /** Its exit code, or 128 + the signal's number; absent while it runs. */
  exitCode(): Promise<ExitCode | undefined> {
    return this.#cluster.processes.exitCode(this.name);
  }

  /** Process id, absent when it has ended. */
  pid(): Promise<number | undefined> {
    return this.#cluster.processes.pid(this.name);
  }

  /** What it has logged. */
  async logs(): Promise<LogLine[]> {
    const text = await Deno.readTextFile(this.#cluster.processes.logFile(this.name));
    return text.split("\n").filter((line) => line !== "").map((line) => {
      try {
        return JSON.parse(line) as LogLine;
      } catch {
        return { text: line };
      }
    });
  }

  /** The text of /metrics. */
  async metrics(): Promise<string> {
    const response = await fetch(new URL("/metrics", this.ops));
    return await response.text();
  }

  /** Sum of the series of a metric that have all of the given labels; 0 where there is none. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    return (await this.metrics()).split("\n")
      .map((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
      .filter((match) => match?.[1] === name && wanted.every((label) => match[2]?.includes(label)))
      .reduce((sum, match) => sum + Number(match![3]), 0);
  }
}

interface KubeObject {
  kind: string;
  metadata: { name: string; namespace?: string };
}

function readManifests(objects: KubeObject[]): Manifests {
  const only = <T>(kind: string, name?: string): T => {
    const found = objects.find((object) =>
      object.kind === kind && (name === undefined || object.metadata.name === name)
    );
    if (!found) throw new Error(`Cannot install Data Spacer: the manifests hold no ${kind}${name ? ` "${name}"` : ""}`);
    return found as T;
  };
  interface Deployment extends KubeObject {
    spec: { template: { spec: { serviceAccountName: string; containers: [Container] } } };
  }
  interface Configuration extends KubeObject {
    webhooks: [{ clientConfig: { service: { name: string; port?: number } } }];
  }
  interface Service extends KubeObject {
    spec: { ports: { name?: string; port: number }[] };
  }
  const deployment = only<Deployment>("Deployment");
  const { serviceAccountName, containers: [container] } = deployment.spec.template.spec;
  const { name, port: number = 443 } =
    only<Configuration>("MutatingWebhookConfiguration").webhooks[0].clientConfig.service;
  const port = only<Service>("Service", name).spec.ports.find((port) => port.port === number);
  if (!port) {
    throw new Error(`Cannot install Data Spacer: Service "${name}" has no port ${number}, which its webhook means`);
  }
  return {
    namespace: deployment.metadata.namespace!,
    serviceAccount: serviceAccountName,
    service: { name, port: port.name ?? "" },
    container,
  };
}

/** Variables that the Deployment sets to a fixed value; those it takes from the pod are flags here. */
function literals(container: Container): Record<string, string> {
  const literal = (container.env ?? []).flatMap(({ name, value }) =>
    value === undefined ? [] : [[name, value] as const]
  );
  return Object.fromEntries(literal);
}

async function kubectl(cluster: Cluster, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectl(args);
  if (code !== 0) throw new Error(`Cannot run "kubectl ${args.join(" ")}": ${stderr}`);
  return stdout;
}
