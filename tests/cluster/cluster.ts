import { type Binaries, build } from "./build.ts";
import {
  ADMIN,
  certificateUser,
  type ClusterOptions,
  type Commands,
  configure,
  type ControlPlane,
  kubeconfig,
} from "./control_plane.ts";
import { makeVeth } from "./network.ts";
import type { Authority, Subject } from "./pki.ts";
import { Processes, until } from "./processes.ts";

/** Whom to act as, by impersonation: a user and, besides `system:authenticated`, the groups. */
export interface Identity {
  /** User name. */
  as?: string;
  /** Groups of that user. */
  asGroups?: string[];
}

/** Options of {@linkcode Cluster.kubectl}. */
export interface KubectlOptions extends Identity {
  /** Text for its stdin. */
  stdin?: string;
  /** Kubeconfig; by default the cluster administrator's. */
  kubeconfig?: string;
}

/** A right, as SubjectAccessReview knows it. */
export interface ResourceAttributes {
  /** For example `get`. */
  verb: string;
  /** Plural, for example `pods`. */
  resource: string;
  /** API group; absent: the core group. */
  group?: string;
  /** For example `exec`. */
  subresource?: string;
  /** Absent: cluster-scoped, or all namespaces. */
  namespace?: string;
  /** Absent: all names. */
  name?: string;
}

/** What a command ended with. */
export interface Output {
  /** Exit code. */
  code: number;
  /** Standard output. */
  stdout: string;
  /** Standard error. */
  stderr: string;
}

/** Options of {@linkcode Cluster.request}. */
export interface RequestOptions extends Identity {
  /** By default POST with a body and GET without. */
  method?: string;
  /** Sent as JSON. */
  body?: unknown;
  /** By default `application/json`. */
  contentType?: string;
  /** Ends the request early. */
  signal?: AbortSignal;
}

const READY_MS = 60_000;

/** A real Kubernetes control plane on 127.0.0.1: etcd, kube-apiserver and kube-controller-manager; no node. */
export class Cluster implements AsyncDisposable {
  /** URL of the API server. */
  readonly server: string;
  /** An address of this machine that is not loopback, for webhooks under test. */
  readonly webhookAddress: string;
  /** The programs it runs. */
  readonly binaries: Binaries;
  /** The cluster's processes and folder; others may be started beside them. */
  readonly processes: Processes;
  /** Folder with the logs of all processes. */
  readonly logs: string;
  /** Processes without which there is no use in waiting for anything. */
  protected readonly essential: readonly string[] = ["etcd", "apiserver", "controllers"];
  readonly #authority: Authority;
  readonly #http: Deno.HttpClient;
  readonly #commands: Commands;
  #disposed = false;
  readonly #kubeconfigs = new Map<string, Promise<string>>();

  /** Use {@linkcode startCluster}. */
  constructor(parts: ControlPlane & { webhookAddress: string; binaries: Binaries; processes: Processes }) {
    this.server = parts.server;
    this.webhookAddress = parts.webhookAddress;
    this.binaries = parts.binaries;
    this.processes = parts.processes;
    this.logs = `${parts.processes.folder}/logs`;
    this.#authority = parts.authority;
    this.#commands = parts.commands;
    // http2: false, since HTTP/2 bodies of 2 KB and more wait 44 ms for an acknowledgement
    this.#http = Deno.createHttpClient({ caCerts: [this.ca], ...parts.admin, http2: false });
  }

  /** Certificate of the authority that signed the API server's, PEM. */
  get ca(): string {
    return this.#authority.ca;
  }

  /** Path of a kubeconfig with a client certificate; by default the cluster administrator's. */
  kubeconfig(user: Subject = ADMIN): Promise<string> {
    const id = JSON.stringify([user.name, user.groups]);
    let file = this.#kubeconfigs.get(id);
    if (!file) {
      file = this.#authority.issue(user).then((pair) =>
        this.writeKubeconfig(`user-${this.#kubeconfigs.size}`, certificateUser(pair))
      );
      this.#kubeconfigs.set(id, file);
    }
    return file;
  }

  /** Writes `NAME.kubeconfig` into the cluster's folder, with the given fields of its user, and returns its path. */
  async writeKubeconfig(name: string, user: Record<string, string>): Promise<string> {
    const file = `${this.processes.folder}/${name}.kubeconfig`;
    await Deno.writeTextFile(file, kubeconfig(this.server, { ca: this.ca, user }), { mode: 0o600 });
    return file;
  }

  /** A new token of a ServiceAccount, bound to nothing; lives an hour unless told otherwise. */
  async token(namespace: string, serviceAccount: string, expirationSeconds = 3_600): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds } };
    return (await this.call<{ status: { token: string } }>(path, { body })).status.token;
  }

  /** Runs kubectl. It has no configuration but the kubeconfig, and no home but the cluster's folder. */
  async kubectl(args: string[], options: KubectlOptions = {}): Promise<Output> {
    const { as, asGroups = [], stdin, kubeconfig = await this.kubeconfig() } = options;
    const identity = as === undefined ? [] : ["--as", as, ...asGroups.flatMap((group) => ["--as-group", group])];
    const child = new Deno.Command(this.binaries.kubectl, {
      args: [...identity, ...args],
      env: { HOME: this.processes.folder, KUBECONFIG: kubeconfig, KUBECTL_KUBERC: "false" },
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (stdin !== undefined) {
      await new Blob([stdin]).stream().pipeTo(child.stdin).catch(() => {}); // it may end without reading all
    }
    const { code, stdout, stderr } = await child.output();
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  }

  /** One request to the API server as its administrator, or as somebody else by impersonation. The answer is parsed JSON. */
  async request<T = unknown>(path: string, options: RequestOptions = {}): Promise<{ status: number; body: T }> {
    const { as, asGroups = [], body, method = body === undefined ? "GET" : "POST" } = options;
    const headers: [string, string][] = [["accept", "application/json"]];
    if (body !== undefined) headers.push(["content-type", options.contentType ?? "application/json"]);
    if (as !== undefined) headers.push(["impersonate-user", as]);
    headers.push(...asGroups.map((group): [string, string] => ["impersonate-group", group])); // a Headers would join them
    const response = await fetch(new URL(path, this.server), {
      method,
      headers,
      client: this.#http,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const text = await response.text();
    const json = response.headers.get("content-type")?.startsWith("application/json");
    return { status: response.status, body: (json ? JSON.parse(text) : text) as T };
  }

  /** The same, where only success is expected. @throws {Error} with the API server's message. */
  async call<T = unknown>(path: string, options: RequestOptions = {}): Promise<T> {
    const { status, body } = await this.request<T>(path, options);
    if (status < 300) return body;
    const reason = (body as { message?: string }).message ?? JSON.stringify(body);
    throw new Error(
      `Cannot ${options.method ?? (options.body === undefined ? "GET" : "POST")} ${path}: ${status}, ${reason}`,
    );
  }

  /** Whether that identity may do something; the API server's own judgement. */
  async allows(who: Identity, what: ResourceAttributes): Promise<boolean> {
    const spec = { user: who.as, groups: who.asGroups, resourceAttributes: what };
    const body = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec };
    const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    return (await this.call<{ status: { allowed: boolean } }>(path, { body })).status.allowed;
  }

  /** The audit log so far, one entry for each request that has ended; needs the option `audit`. */
  async audit(): Promise<AuditEntry[]> {
    const text = await Deno.readTextFile(`${this.logs}/audit.jsonl`);
    return text.split("\n").slice(0, -1).map((line) => JSON.parse(line) as AuditEntry);
  }

  /** Ends the API server as a crash would (kill -9). */
  async killApiServer(): Promise<void> {
    await this.processes.stop("apiserver", "SIGKILL");
  }

  /** Starts the API server again, with the same address and data, and waits until it is ready. */
  async startApiServer(): Promise<void> {
    await this.processes.start("apiserver", { command: this.#commands.apiserver });
    await this.ready();
  }

  /** Ends etcd as a crash would (kill -9). Its data survives: what it has written is in the kernel's hands. */
  async killEtcd(): Promise<void> {
    await this.processes.stop("etcd", "SIGKILL");
  }

  /** Starts etcd again on its data and waits until the API server is ready with it. */
  async startEtcd(): Promise<void> {
    await this.processes.start("etcd", { command: this.#commands.etcd });
    await this.ready();
  }

  /** Starts all there is and waits until a Pod can be created in the namespace `default`. Called by {@linkcode startCluster}. */
  async start(): Promise<void> {
    await Promise.all([
      this.processes.start("etcd", { command: this.#commands.etcd }),
      this.processes.start("apiserver", { command: this.#commands.apiserver }),
    ]);
    await this.ready();
    // not before: it ends at once when it may not yet read the configuration of authentication
    await this.processes.start("controllers", { command: this.#commands.controllers });
    await this.serviceAccount("default");
  }

  /** Waits for a ServiceAccount: the default one comes 0.1 to 0.3 s after its namespace, and Pods are refused until then. */
  async serviceAccount(namespace: string, name = "default"): Promise<void> {
    await this.waitFor(`ServiceAccount ${namespace}/${name}`, async () => {
      const { status } = await this.request(`/api/v1/namespaces/${namespace}/serviceaccounts/${name}`);
      return status === 200;
    });
  }

  /** Waits until the API server says that it is ready, and etcd answers it. @throws {Error} with the log of what ended. */
  async ready(): Promise<void> {
    await this.waitFor("ready API server", async () => {
      for (const path of ["/readyz", "/api/v1/namespaces/default"]) { // /readyz knows about etcd only as of a while ago
        const { status } = await this.request(path, { signal: AbortSignal.timeout(2_000) });
        if (status !== 200) return false;
      }
      return true;
    });
  }

  /** Waits until `look` says yes; it may fail meanwhile. @throws {Error} in vain, or with the log of a process that has ended. */
  protected async waitFor(what: string, look: () => Promise<boolean>): Promise<void> {
    await until(async () => {
      if (await look().catch(() => false)) return true;
      for (const name of this.essential) {
        const code = await this.processes.exitCode(name);
        if (code !== undefined) {
          throw new Error(
            `Cannot start the cluster: ${name} ended with ${code}:\n${await this.processes.logTail(name)}`,
          );
        }
      }
    }, { ms: READY_MS, what, every: 20 });
  }

  /** Ends all processes and removes what was made: folder, links. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#disposed) this.#http.close();
    this.#disposed = true;
    await this.processes[Symbol.asyncDispose]();
  }
}

/** One line of the audit log, abbreviated. */
export interface AuditEntry {
  /** Path and query. */
  requestURI: string;
  /** For example `get`, `watch`, `patch`. */
  verb: string;
  /** When it came, to the microsecond. */
  requestReceivedTimestamp: string;
  /** Who asked; a ServiceAccount's `extra` tells which token. */
  user: { username: string; groups: string[]; extra?: Record<string, string[]> };
  /** Client program. */
  userAgent?: string;
  /** What it was about. */
  objectRef?: { resource: string; namespace?: string; name?: string; apiGroup?: string; subresource?: string };
  /** How it was answered. */
  responseStatus?: { code: number; reason?: string };
  /** For example `authorization.k8s.io/decision`. */
  annotations?: Record<string, string>;
}

/**
 * Starts a cluster of its own, ready after about 3 s: `await using cluster = await startCluster()`. Several may run at once.
 * The programs are built first where the cache has none (build.ts).
 *
 * @throws {Error} that says what is missing, or what ended and its last lines; nothing is left running then.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const binaries = await build(options);
  const processes = await Processes.create("data-spacer-cluster-");
  let started: Cluster | undefined;
  try {
    const webhookAddress = await makeVeth(processes);
    const controlPlane = await configure({ binaries, folder: processes.folder }, options);
    started = new Cluster({ ...controlPlane, binaries, processes, webhookAddress });
    await started.start();
    return started;
  } catch (error) {
    await (started ?? processes)[Symbol.asyncDispose]();
    throw error;
  }
}
