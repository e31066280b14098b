import { Cluster, type Output } from "../cluster.ts";
import { type ClusterOptions, type ControlPlane, makeKeys, writeFiles } from "../control_plane.ts";
import { toStderr } from "../go_build.ts";
import type { Processes } from "../processes.ts";
import type { Addresses } from "./addresses.ts";
import { baseImages } from "./base_images.ts";
import { type Component, COMPONENTS, FELIX_PORT, nodeCommands } from "./commands.ts";
import { CONTAINERD, nodeFiles } from "./configuration.ts";
import type { ImageArchive } from "./image_cache.ts";
import { entering, prepareFolder, startNamespaces } from "./namespaces.ts";
import { claimNumber } from "./number.ts";
import { calicoObjects, type Creation, DEFINITIONS, dnsObjects, kubeletAccess } from "./objects.ts";
import { installPackages, missing } from "./packages.ts";
import { buildNodePrograms, type NodePrograms } from "./programs.ts";

/** Options of {@linkcode Node.start}. */
export interface NodeOptions
  extends Pick<ClusterOptions, "release" | "admissionPlugins" | "apiServerFlags" | "audit" | "log"> {
  /** OCI archives to import besides the base images (base_images.ts). */
  images?: ImageArchive[];
}

const SERVER_NAMES = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

interface NodeParts extends ControlPlane {
  addresses: Addresses;
  components: Record<Component, string[]>;
  enter: string[];
  images: ImageArchive[];
  processes: Processes;
  programs: NodePrograms;
}

/**
 * A real cluster with one node: control plane, containerd, kubelet, kube-proxy, Calico and CoreDNS, IPv4 and IPv6, in namespaces of its
 * own. The host reaches its API server, Pods and Services by their addresses; webhooks under test listen on `webhookAddress`.
 */
export class Node extends Cluster {
  /** Names and addresses. */
  readonly addresses: Addresses;
  protected override readonly essential: readonly string[] = ["node", ...COMPONENTS];
  readonly #commands: Record<Component, string[]>;
  /** Runs the command that follows it inside the node's namespaces. */
  readonly enter: readonly string[];
  readonly #images: ImageArchive[];
  readonly #programs: NodePrograms;

  /** Use {@linkcode Node.start}. */
  private constructor(parts: NodeParts) {
    super({ ...parts, binaries: parts.programs, webhookAddress: parts.addresses.host.v4 });
    this.addresses = parts.addresses;
    this.#commands = parts.components;
    this.enter = parts.enter;
    this.#images = parts.images;
    this.#programs = parts.programs;
  }

  /**
   * Starts a node, ready with DNS and policies after about 10 s: `await using node = await Node.start()`. Several may run at once.
   * What the machine lacks is installed or built first, and what earlier nodes left whose owner was killed is removed.
   *
   * @throws {Error} that says what is missing, or what ended and its last lines; nothing is left running then.
   */
  static async start(options: NodeOptions = {}): Promise<Node> {
    if (missing !== undefined) throw new Error(`Cannot start a node: ${missing}`);
    const { log = toStderr, images = [] } = options;
    await installPackages(log);
    const programs = await buildNodePrograms(options);
    const base = await baseImages(programs);
    const { addresses, processes } = await claimNumber(log);
    const { folder } = processes;
    let started: Node | undefined;
    try {
      const { server, node, host, kubernetes } = addresses;
      const hosts = [addresses.name, "127.0.0.1", node.v4, node.v6, host.v4, kubernetes.v4, kubernetes.v6];
      const [keys] = await Promise.all([
        makeKeys(server, [...SERVER_NAMES, "kubernetes.default.svc.cluster.local", ...hosts]),
        prepareFolder(folder, programs),
      ]);
      await writeFiles(folder, { ...keys.files, ...await nodeFiles(folder, addresses, keys) });
      const enter = entering(await startNamespaces(processes, addresses, programs), folder);
      const inside = nodeCommands({ folder, addresses, programs }, options);
      const components = Object.fromEntries(
        Object.entries(inside).map(([name, command]) => [name, [...enter, ...command]]),
      ) as typeof inside;
      const parts = { addresses, components, enter, programs, processes, images: [...base, ...images] };
      started = new Node({ ...parts, ...keys, server, commands: components });
      await started.start();
      return started;
    } catch (error) {
      const logs = await lastLines(processes); // their folder goes now
      await (started ?? processes)[Symbol.asyncDispose]();
      throw new Error(`${error instanceof Error ? error.message : error}\n${logs}`, { cause: error });
    }
  }

  /** Runs a command inside the node's namespaces, as root, with the programs of the host's root file system. */
  async node(...command: string[]): Promise<Output> {
    return await this.#output([...this.enter, ...command]);
  }

  /** Imports an OCI archive, under the names that it carries. @throws {Error} with what containerd said. */
  async importImage(archive: string): Promise<void> {
    const command = [...this.enter, "ctr", "--address", CONTAINERD, "--namespace", "k8s.io", "images", "import", "-"];
    // by stdin: the node may not see the file where the host does
    const { code, stderr } = await this.#output(["sh", "-c", 'file=$0; exec "$@" < "$file"', archive, ...command]);
    if (code !== 0) throw new Error(`Cannot import ${archive}: ${stderr.trim()}`);
  }

  /** Ends a program of the node as a crash would (kill -9) and starts it again. */
  async restart(component: Component): Promise<void> {
    await this.processes.stop(component, "SIGKILL");
    await this.#run(component);
    if (component === "etcd" || component === "apiserver") await this.ready();
  }

  /** Starts all there is and waits until Pods run, names resolve and policies are in force. Called by {@linkcode Node.start}. */
  override async start(): Promise<void> {
    const containers = this.#startContainers();
    const controlPlane = this.#startControlPlane();
    const kubelet = Promise.all([containers, controlPlane]).then(() => this.#startKubelet());
    const network = controlPlane.then(() => this.#prepareNetwork());
    await Promise.all([kubelet, network]);
    await this.#run("felix");
    await this.#create(dnsObjects(this.addresses));
    await Promise.all([this.serviceAccount("default"), this.#nodeReady(), this.#policiesReady(), this.#dnsReady()]);
  }

  async #startContainers(): Promise<void> {
    await this.#run("containerd");
    await this.waitFor("containerd", async () => {
      return (await this.node("ctr", "--address", CONTAINERD, "version")).code === 0;
    });
    const archives = new Set(this.#images.map(({ archive }) => archive)); // one may hold several
    await Promise.all([...archives].map((archive) => this.importImage(archive)));
  }

  async #startControlPlane(): Promise<void> {
    await Promise.all([this.#run("etcd"), this.#run("apiserver")]);
    await this.ready();
    await Promise.all([this.#run("controllers"), this.#run("scheduler"), this.#create(kubeletAccess())]);
  }

  async #startKubelet(): Promise<void> {
    await this.#run("kubelet");
    const { name, node, linkPrefix } = this.addresses;
    const path = `/api/v1/nodes/${name}`;
    await this.waitFor("registration of the node", async () => (await this.request(path)).status === 200);
    await this.#run("proxy"); // not before: it asks once which addresses the node has
    const annotations = {
      "projectcalico.org/IPv4Address": `${node.v4}/${linkPrefix.v4}`,
      "projectcalico.org/IPv6Address": `${node.v6}/${linkPrefix.v6}`,
    };
    const contentType = "application/merge-patch+json";
    await this.call(path, { method: "PATCH", contentType, body: { metadata: { annotations } } });
  }

  async #prepareNetwork(): Promise<void> {
    const text = await Deno.readTextFile(this.#programs.calicoDefinitions);
    const definitions = JSON.parse(text) as Record<string, unknown>[];
    await this.#create(definitions.map((definition) => [DEFINITIONS, definition]));
    for (const [path, body] of calicoObjects(this.addresses)) {
      // 404 until the API server serves what was just defined
      await this.waitFor(path, async () => (await this.request(path, { body })).status === 201);
    }
  }

  async #nodeReady(): Promise<void> {
    type Answer = { status: { conditions: { type: string; status: string }[] } };
    await this.waitFor("ready node", async () => {
      const { status } = await this.call<Answer>(`/api/v1/nodes/${this.addresses.name}`);
      return status.conditions.some(({ type, status }) => type === "Ready" && status === "True");
    });
  }

  async #policiesReady(): Promise<void> {
    await this.waitFor("Felix", async () => {
      const response = await fetch(`http://${this.addresses.node.v4}:${FELIX_PORT}/readiness`);
      await response.body?.cancel();
      return response.ok;
    });
  }

  /** By a question of the host's to the Service: that takes kube-proxy, the network and CoreDNS. */
  async #dnsReady(): Promise<void> {
    await this.waitFor("DNS", async () => {
      const found = await Deno.resolveDns("kubernetes.default.svc.cluster.local", "A", {
        nameServer: { ipAddr: this.addresses.dns, port: 53 },
        signal: AbortSignal.timeout(500),
      });
      return found.includes(this.addresses.kubernetes.v4);
    });
  }

  async #create(creations: Creation[]): Promise<void> {
    await Promise.all(creations.map(([path, body]) => this.call(path, { body })));
  }

  async #run(component: Component): Promise<void> {
    await this.processes.start(component, { command: this.#commands[component] });
  }

  async #output([command, ...args]: string[]): Promise<Output> {
    const { code, stdout, stderr } = await new Deno.Command(command!, { args, stdin: "null" }).output();
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  }
}

async function lastLines(processes: Processes): Promise<string> {
  const tails = COMPONENTS.map(async (name) => `--- ${name}:\n${await processes.logTail(name, 5)}`);
  return (await Promise.all(tails)).join("\n");
}
