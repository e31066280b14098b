import type { Event } from "kubernetes-types/core/v1.d.ts";
import type { AuditEntry, Cluster, Identity } from "./cluster.ts";
import { until } from "./processes.ts";

/** Kinds of the objects that Data Spacer keeps in offloaded namespaces. */
export type Kind = "ConfigMap" | "NetworkPolicy";

/** Both of them. */
export const KINDS: readonly Kind[] = ["ConfigMap", "NetworkPolicy"];

/** One of those objects, as stored. */
export interface Stored {
  metadata: {
    name: string;
    uid: string;
    resourceVersion: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: unknown[];
    finalizers?: string[];
    managedFields?: { manager: string; operation: string }[];
  };
  immutable?: boolean;
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
  spec?: Record<string, unknown>;
}

/** User name of Data Spacer's own ServiceAccount. */
export const ACCOUNT = "system:serviceaccount:data-spacer:data-spacer";

const WRITES = ["create", "update", "patch", "delete", "deletecollection"];

/** What the provider's operator sees and does on a test cluster. */
export class Operator {
  readonly #cluster: Cluster;
  #marks = 0;

  /** As the cluster's administrator. */
  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Path of an object of ours in the API. */
  path(kind: Kind, namespace: string): string {
    return kind === "ConfigMap"
      ? `/api/v1/namespaces/${namespace}/configmaps/data-space-envoy-config`
      : `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/data-space-network-policy`;
  }

  /** The object of ours in a namespace; absent if there is none. */
  async find(kind: Kind, namespace: string): Promise<Stored | undefined> {
    const { status, body } = await this.#cluster.request<Stored>(this.path(kind, namespace));
    return status === 200 ? body : undefined;
  }

  /** Waits until exactly these kinds are in a namespace. Returns how long it took, ms. */
  async holds(namespace: string, kinds: readonly Kind[], ms = 10_000): Promise<number> {
    const start = performance.now();
    await until(async () => {
      const found = await Promise.all(KINDS.map((kind) => this.find(kind, namespace)));
      return KINDS.every((kind, i) => kinds.includes(kind) === (found[i] !== undefined)) ? true : undefined;
    }, { ms, what: `${kinds.join(" and ") || "absence of both objects"} in ${namespace}` });
    return performance.now() - start;
  }

  /** Sets labels of a Namespace; null takes one off. */
  async label(namespace: string, labels: Record<string, string | null>): Promise<void> {
    await this.patch(`/api/v1/namespaces/${namespace}`, { metadata: { labels } });
  }

  /** A merge patch, by the administrator or by `as`. */
  async patch(path: string, body: unknown, as: Identity = {}): Promise<void> {
    await this.#cluster.call(path, { ...as, method: "PATCH", contentType: "application/merge-patch+json", body });
  }

  /** Deletes an object, as the administrator or as `as`. */
  async delete(path: string, as: Identity = {}): Promise<void> {
    await this.#cluster.call(path, { ...as, method: "DELETE" });
  }

  /** A Namespace that Liqo did not make. */
  async createNamespace(name: string, labels: Record<string, string> = {}): Promise<void> {
    await this.#cluster.call("/api/v1/namespaces", { body: { metadata: { name, labels } } });
    await this.#cluster.serviceAccount(name);
  }

  /** Every Event of ours, in whatever namespace it lies. */
  async events(reason?: string, namespace?: string): Promise<Event[]> {
    const { items } = await this.#cluster.call<{ items: Event[] }>("/api/v1/events");
    return items.filter((event) =>
      event.source?.component === "data-spacer" && (reason === undefined || event.reason === reason) &&
      (namespace === undefined || event.involvedObject.name === namespace)
    );
  }

  /** Waits for the Events of a reason about a namespace, `count` occurrences in all at the least. */
  event(reason: string, namespace: string, count = 1): Promise<Event[]> {
    return until(async () => {
      const events = await this.events(reason, namespace);
      return events.length > 0 && occurrences(events) >= count ? events : undefined;
    }, { ms: 15_000, what: `Event ${reason} of ${namespace}`, every: 50 });
  }

  /**
   * Waits until Data Spacer has seen and settled all that was done before: a namespace made last converges, and is tampered with and
   * repaired, after what came earlier.
   */
  async settled(): Promise<void> {
    const mark = `mark-${this.#marks++}`;
    await this.createNamespace(mark, { "liqo.io/remote-cluster-id": "mark" });
    await this.holds(mark, KINDS);
    for (const kind of KINDS) {
      await this.patch(this.path(kind, mark), { metadata: { labels: { mark } } });
      await until(async () => {
        const labels = (await this.find(kind, mark))?.metadata.labels;
        return labels !== undefined && !("mark" in labels) ? true : undefined;
      }, { ms: 10_000, what: `repaired ${kind} in ${mark}` });
    }
  }

  /** What Data Spacer has asked of the API server, of the requests that `which` selects. */
  async requests(which: (entry: AuditEntry) => boolean = () => true): Promise<AuditEntry[]> {
    return (await this.#cluster.audit()).filter((entry) => entry.user.username === ACCOUNT && which(entry));
  }

  /** What it has written to ConfigMaps and NetworkPolicies of offloaded namespaces: `verb resource namespace status`. */
  async writes(which: (entry: AuditEntry) => boolean = () => true): Promise<string[]> {
    const entries = await this.requests((entry) => isObjectWrite(entry) && which(entry));
    return entries.map(({ verb, objectRef, responseStatus }) =>
      `${verb} ${objectRef?.resource} ${objectRef?.namespace} ${responseStatus?.code}`
    );
  }
}

/** Whether a request of the audit log writes one of the objects in offloaded namespaces. */
export function isObjectWrite({ verb, objectRef }: AuditEntry): boolean {
  return WRITES.includes(verb) && ["configmaps", "networkpolicies"].includes(objectRef?.resource ?? "") &&
    objectRef?.namespace !== "data-spacer";
}

/** How often what the Events say has occurred. */
export function occurrences(events: Event[]): number {
  return events.reduce((sum, { count = 1 }) => sum + count, 0);
}

/** All that Data Spacer decides about an object, and what others may have added. */
export function content({ metadata, immutable, data, binaryData, spec }: Stored): unknown {
  const { labels, annotations, ownerReferences, finalizers, deletionTimestamp } = metadata;
  return { labels, annotations, ownerReferences, finalizers, deletionTimestamp, immutable, data, binaryData, spec };
}
