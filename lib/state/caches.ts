import type { ConfigMap, Namespace } from "kubernetes-types/core/v1.d.ts";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.d.ts";
import { type Owned, ownedFacts, type OwnedKind, ownedNames } from "../core/desired_state.ts";
import { liqo, objects } from "../core/names.ts";
import { type NamespaceFacts, namespaceFacts } from "../core/namespace_policy.ts";
import type { KubeClient } from "../kube/client.ts";
import { Informer, type InformerOptions } from "../kube/informer.ts";
import type { Logger } from "../kube/logger.ts";
import { type KubeObject, resources } from "../kube/resources.ts";
import type { RestartReason } from "../kube/restart.ts";

/** What the caches need. */
export interface CachesDeps {
  client: Pick<KubeClient, "listAll" | "watch">;
  /** Our own namespace. */
  namespace: string;
  log: Logger;
  /** Told when a watch begins anew. */
  onRestart(cache: string, reason: RestartReason): void;
}

/** Names of the caches, as the label of the metric of their restarts. */
export const cacheNames = ["namespaces", "tenants-v0", "configmaps", "networkpolicies", "contract"] as const;

/** Every cache of a replica; they hold projections, not objects. */
export class Caches {
  readonly namespaces: Informer<NamespaceFacts, Namespace>;
  readonly tenantsV0: Informer<NamespaceFacts, Namespace>;
  readonly owned: Readonly<Record<OwnedKind, Informer<Owned, ConfigMap> | Informer<Owned, NetworkPolicy>>>;
  /** Data of the contract ConfigMap, the only one. */
  readonly contract: Informer<Readonly<Record<string, string>>, ConfigMap>;
  readonly #all: Informer<unknown, KubeObject>[];

  constructor({ client, namespace, log, onRestart }: CachesDeps) {
    const informer = <T, O extends KubeObject>(
      name: (typeof cacheNames)[number],
      options: Omit<InformerOptions<T, O>, "client" | "log" | "onRestart">,
    ) => new Informer<T, O>({ client, log, onRestart: (reason) => onRestart(name, reason), ...options });
    // By name, not by label: our rights end with these names, and an object whose label somebody took off is still seen.
    const named = (kind: OwnedKind) => ({ fieldSelector: `metadata.name=${ownedNames[kind]}` });
    this.namespaces = informer("namespaces", {
      resource: resources.Namespace,
      labelSelector: liqo.remoteClusterId,
      project: namespaceFacts,
    });
    this.tenantsV0 = informer("tenants-v0", {
      resource: resources.Namespace,
      labelSelector: liqo.tenantNamespaceV0,
      project: namespaceFacts,
    });
    this.owned = {
      ConfigMap: informer("configmaps", {
        resource: resources.ConfigMap,
        ...named("ConfigMap"),
        project: (object) => ownedFacts("ConfigMap", object),
      }),
      NetworkPolicy: informer("networkpolicies", {
        resource: resources.NetworkPolicy,
        ...named("NetworkPolicy"),
        project: (object) => ownedFacts("NetworkPolicy", object),
      }),
    };
    this.contract = informer("contract", {
      resource: resources.ConfigMap,
      namespace,
      fieldSelector: `metadata.name=${objects.contract}`,
      project: (object) => object.data ?? {},
    });
    this.#all = [
      this.namespaces,
      this.tenantsV0,
      this.owned.ConfigMap,
      this.owned.NetworkPolicy,
      this.contract,
    ] as unknown as Informer<unknown, KubeObject>[];
  }

  /** Keeps all of them right until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.run(signal)));
  }

  /** Resolves when each has its first list. */
  async synced(): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.synced));
  }

  /** Whether each has its first list. */
  get hasSynced(): boolean {
    return this.#all.every((informer) => informer.hasSynced);
  }
}
