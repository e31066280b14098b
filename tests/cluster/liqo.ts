import { createHash } from "node:crypto";
import type { Namespace, Pod } from "kubernetes-types/core/v1.d.ts";
import type { RoleBinding } from "kubernetes-types/rbac/v1.d.ts";
import { parseAllDocuments } from "yaml";
import type { Cluster, Identity } from "./cluster.ts";
import { until } from "./processes.ts";

/** Liqo's controller-manager, which creates the offloaded namespaces and their pods. */
export const LIQO: Identity = {
  as: "system:serviceaccount:liqo:liqo-controller-manager",
  asGroups: ["system:serviceaccounts", "system:serviceaccounts:liqo", "system:authenticated"],
};

/** The consumer with that cluster id, as its virtual kubelet talks to the provider's API server. */
export function consumer(clusterId = "pharma"): Identity {
  const digest = createHash("sha256").update(clusterId).digest("hex");
  return { as: `hospital-${digest.slice(0, 12)}`, asGroups: [clusterId, "system:authenticated"] };
}

/** What differs from tests/testdata/liqo_namespace.yaml. */
export interface OffloadedNamespaceOptions {
  /** Cluster id of the consumer; by default `pharma`. */
  consumer?: string;
  /** Cluster id that the label claims, where a consumer spoofs another's; the consumer's group loses its rights to the claimed one. */
  claims?: string;
  /** What the annotation names: `<tenant namespace>/<NamespaceMap>`; null leaves it out. By default the consumer's. */
  namespaceMap?: string | null;
  /** More labels, as the provider sets them. */
  labels?: Record<string, string>;
}

/** Options of {@linkcode Liqo.createPod}. */
export interface CreatePodOptions {
  /** Dry run: the answer, and nothing stored. */
  dryRun?: boolean;
  /** How long to go on after a refusal, ms, with Liqo's pauses: 5 ms, then twice the one before. By default 0. */
  retryMs?: number;
}

/** Plays Liqo on a cluster where it is not installed. */
export class Liqo {
  readonly #cluster: Cluster;
  readonly #namespaces: [Namespace, Namespace, RoleBinding];

  private constructor(cluster: Cluster, namespaces: [Namespace, Namespace, RoleBinding]) {
    this.#cluster = cluster;
    this.#namespaces = namespaces;
  }

  /** Creates Liqo's namespace, identity and roles. */
  static async install(cluster: Cluster): Promise<Liqo> {
    const { code, stderr } = await cluster.kubectl(["apply", "-f", testdataPath("liqo_installation.yaml")]);
    if (code !== 0) throw new Error(`Cannot play Liqo: ${stderr}`);
    // the API server hears of a role a moment after it has stored it
    const allowed = () => cluster.allows(LIQO, { verb: "create", resource: "namespaces" });
    await until(async () => await allowed() || undefined, { ms: 10_000, what: "rights of Liqo" });
    return new Liqo(cluster, await testdata("liqo_namespace.yaml"));
  }

  /** Creates a tenant namespace as Liqo does at a peering; `v0` gives it the labels of v0.6 to v0.10. Returns its name. */
  async createTenantNamespace(clusterId = "pharma", era: "v0" | "v1" = "v1"): Promise<string> {
    const [, template] = structuredClone(this.#namespaces);
    const name = `liqo-tenant-${clusterId}`;
    const labels: Record<string, string> = era === "v1"
      ? { ...template.metadata!.labels, "liqo.io/remote-cluster-id": clusterId }
      : { "discovery.liqo.io/cluster-id": clusterId, "discovery.liqo.io/tenant-namespace": "true" };
    await this.#create("/api/v1/namespaces", { ...template, metadata: { name, labels } });
    return name;
  }

  /** Creates an offloaded namespace as Liqo does. Unless `wait` is false, pods can be created in it and the consumer has its rights when this returns. */
  async createOffloadedNamespace(
    name = "trial-pharma",
    options: OffloadedNamespaceOptions = {},
    wait = true,
  ): Promise<void> {
    const [template, , bindingTemplate] = structuredClone(this.#namespaces);
    const { consumer = "pharma", claims = consumer, namespaceMap = `liqo-tenant-${consumer}/hospital` } = options;
    const annotations = namespaceMap === null ? {} : { "liqo.io/managed-by-namespace-map": namespaceMap };
    await this.#create("/api/v1/namespaces", {
      ...template,
      metadata: {
        name,
        labels: { ...template.metadata!.labels, "liqo.io/remote-cluster-id": claims, ...options.labels },
        annotations: { ...annotations, "liqo.io/original-name": name.replace(`-${consumer}`, "") },
      },
    });
    await this.#create(`/apis/rbac.authorization.k8s.io/v1/namespaces/${name}/rolebindings`, {
      ...bindingTemplate,
      metadata: {
        name: `liqo-tenant-${consumer}`,
        namespace: name,
        labels: { ...bindingTemplate.metadata!.labels, "liqo.io/remote-cluster-id": claims },
        annotations,
      },
      subjects: [{ ...bindingTemplate.subjects![0]!, name: claims }],
    });
    if (!wait) return;
    await this.#cluster.serviceAccount(name);
    const right = { verb: "update", resource: "configmaps", namespace: name };
    const allowed = () => this.#cluster.allows({ asGroups: [claims] }, right);
    await until(async () => await allowed() || undefined, { ms: 10_000, what: `rights of "${claims}"` });
  }

  /** Creates a pod as Liqo does from a ShadowPod. Returns the stored pod, or the refusal of its last try. */
  async createPod(pod: Pod, options: CreatePodOptions = {}): Promise<PodAnswer> {
    const { dryRun = false, retryMs = 0 } = options;
    const path = `/api/v1/namespaces/${pod.metadata!.namespace}/pods?fieldManager=shadow-pod${
      dryRun ? "&dryRun=All" : ""
    }`;
    for (const [start, pause] = [performance.now(), { ms: 5 }];; pause.ms *= 2) {
      const { status, body } = await this.#cluster.request<Pod | { message: string }>(path, { ...LIQO, body: pod });
      if (status < 300) return { created: true, pod: body as Pod };
      if (performance.now() - start + pause.ms > retryMs) {
        return { created: false, status, message: (body as { message: string }).message };
      }
      await new Promise((resolve) => setTimeout(resolve, pause.ms));
    }
  }

  /** Creates, as the consumer's virtual kubelet does, the Secret and the ConfigMap that the volume of the pod needs. */
  async createReflectedObjects(namespace = "trial-pharma", clusterId = "pharma"): Promise<void> {
    const [, secret, configMap] = await testdata<[Pod, Reflected, Reflected]>("liqo_pod.yaml");
    for (const [resource, object] of [["secrets", secret], ["configmaps", configMap]] as const) {
      object.metadata.namespace = namespace;
      object.metadata.labels["offloading.liqo.io/origin"] = clusterId;
      await this.#cluster.call(`/api/v1/namespaces/${namespace}/${resource}`, { ...consumer(clusterId), body: object });
    }
  }

  async #create(path: string, object: object): Promise<void> {
    await this.#cluster.call(path, { ...LIQO, body: object });
  }
}

/** What became of a pod. */
export type PodAnswer = { created: true; pod: Pod } | { created: false; status: number; message: string };

interface Reflected {
  metadata: { namespace: string; labels: Record<string, string> };
}

/** A fresh copy of the pod in tests/testdata/liqo_pod.yaml, for the namespace and under the name given. */
export async function liqoPod(namespace = "trial-pharma", name?: string): Promise<Pod> {
  const [pod] = await testdata<[Pod]>("liqo_pod.yaml");
  pod.metadata!.namespace = namespace;
  if (name !== undefined) pod.metadata!.name = name;
  return pod;
}

/** Path of a file in tests/testdata. */
export function testdataPath(file: string): string {
  return decodeURIComponent(new URL(`../testdata/${file}`, import.meta.url).pathname);
}

/** The documents of a YAML file in tests/testdata. */
export async function testdata<T>(file: string): Promise<T> {
  return parseAllDocuments(await Deno.readTextFile(testdataPath(file))).map((document) => document.toJS()) as T;
}
