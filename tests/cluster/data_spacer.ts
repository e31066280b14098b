import type { Container } from "kubernetes-types/core/v1.d.ts";
import { parseAllDocuments } from "yaml";
import { runtimeFlags } from "../../deploy/runtime_flags.ts";
import type { Cluster } from "./cluster.ts";
import { freePort } from "./network.ts";
import { Replica } from "./replica.ts";

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
  /** Program to run; by default main.ts under Deno, with the permissions that it has in the image. */
  command?: string[];
  /** What is in its /etc/resolv.conf, in place of --resolvers. */
  resolvConf?: string;
}

/** Addresses of the cluster's DNS as far as the tests go; nothing answers there. */
const RESOLVERS = "10.96.0.10";
const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);
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
      ...(options.resolvConf === undefined ? [`--resolvers=${RESOLVERS}`] : []),
    ];
    // In place of the ServiceAccount that a pod mounts it reads a kubeconfig and a token.
    const permissions = runtimeFlags.image.map((flag) =>
      flag.startsWith("--allow-read=") ? `${flag},${processes.folder}` : flag
    );
    const { command = [Deno.execPath(), "run", "--quiet", ...permissions, `${ROOT}main.ts`] } = options;
    const args = container.args?.length ? container.args : ["serve"];
    await replica.start({
      command: [...await this.#surroundings(options, name), ...command, ...args, ...flags, ...options.flags ?? []],
      env: { ...literals(container), ...options.env },
    });
    await replica.join(service);
    return replica;
  }

  /** What starts a program with a file of its own in the place of /etc/resolv.conf; nothing where that is the machine's. */
  async #surroundings({ resolvConf }: ReplicaOptions, name: string): Promise<string[]> {
    if (resolvConf === undefined) return [];
    const file = `${this.#cluster.processes.folder}/${name}.resolv.conf`;
    await Deno.writeTextFile(file, resolvConf);
    const mount = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
    return ["sh", "-c", 'exec unshare --mount sh -c "$0" "$@"', mount, file];
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
