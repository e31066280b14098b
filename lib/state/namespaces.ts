import type { AdmissionView } from "../core/admission.ts";
import { type Owned, type OwnedKind, ownedNames } from "../core/desired_state.ts";
import {
  type NamespaceFacts,
  type NamespacePolicy,
  namespacePolicy,
  roleOf,
  tenantNameOf,
} from "../core/namespace_policy.ts";
import type { Injection } from "../core/injection.ts";
import type { Settings } from "../core/settings.ts";
import type { Source } from "./source.ts";

/** All that is known of an offloaded namespace. */
export interface NamespaceView extends AdmissionView {
  /** Objects there that carry our name. */
  owned: Owned[];
}

/** What the store joins. */
export interface NamespaceSources {
  /** Namespaces with Liqo's remote cluster id: offloaded ones, and tenant namespaces since Liqo v1.0. */
  namespaces: Source<NamespaceFacts>;
  /** Tenant namespaces up to Liqo v0.10. */
  tenantsV0: Source<NamespaceFacts>;
  /** Objects of our names everywhere, keyed `namespace/name`. */
  owned: Readonly<Record<OwnedKind, Source<Owned>>>;
}

/** What every replica knows of the namespaces: caches of the API server, joined by name. */
export class NamespaceStore {
  readonly #sources: NamespaceSources;
  readonly #settings: Settings;
  readonly #injection: () => Injection;

  constructor(sources: NamespaceSources, settings: Settings, injection: () => Injection) {
    this.#sources = sources;
    this.#settings = settings;
    this.#injection = injection;
  }

  /** An offloaded namespace; undefined if there is none of that name. */
  get(name: string): NamespaceView | undefined {
    const policy = this.policy(name);
    if (policy === undefined) return undefined;
    const owned = this.owned(name);
    return { policy, owned, ready: this.#ready(policy, owned) };
  }

  /** The policy of an offloaded namespace; undefined if there is none of that name. */
  policy(name: string): NamespacePolicy | undefined {
    const facts = this.#sources.namespaces.get(name);
    if (facts === undefined || roleOf(facts.labels) !== "offloaded") return undefined;
    const tenant = tenantNameOf(facts);
    return namespacePolicy(facts, tenant === undefined ? undefined : this.#tenant(tenant), this.#settings);
  }

  /** Our objects in a namespace, offloaded or not. */
  owned(namespace: string): Owned[] {
    const owned: Owned[] = [];
    for (const kind of ["ConfigMap", "NetworkPolicy"] as const) {
      const found = this.#sources.owned[kind].get(`${namespace}/${ownedNames[kind]}`);
      if (found !== undefined) owned.push(found);
    }
    return owned;
  }

  /** Names of all offloaded namespaces, and of all that hold objects of ours. */
  names(): Set<string> {
    const names = new Set<string>();
    for (const facts of this.#sources.namespaces.values()) {
      if (roleOf(facts.labels) === "offloaded") names.add(facts.name);
    }
    for (const source of Object.values(this.#sources.owned)) {
      for (const owned of source.values()) names.add(owned.namespace);
    }
    return names;
  }

  /** Calls back with the name of each namespace whose view may have changed, first with all that there are; returns how to end that. */
  subscribe(listener: (name: string) => void): () => void {
    const { namespaces, tenantsV0, owned } = this.#sources;
    const ends = [
      namespaces.subscribe(({ key, value }) => {
        listener(key);
        if (roleOf(value.labels) === "tenant") this.#offloadedBy(key).forEach(listener);
      }),
      tenantsV0.subscribe(({ key }) => this.#offloadedBy(key).forEach(listener)),
      ...Object.values(owned).map((source) => source.subscribe(({ value }) => listener(value.namespace))),
    ];
    this.names().forEach(listener);
    return () => ends.forEach((end) => end());
  }

  #tenant(name: string): NamespaceFacts | undefined {
    return this.#sources.namespaces.get(name) ?? this.#sources.tenantsV0.get(name);
  }

  #offloadedBy(tenant: string): string[] {
    return [...this.#sources.namespaces.values()].filter((facts) => tenantNameOf(facts) === tenant).map((f) => f.name);
  }

  /** An object as this version makes it or as one does whose containers are accepted: during a rollout both are right. */
  #ready(policy: NamespacePolicy, owned: readonly Owned[]): boolean {
    const { current, accepted } = this.#injection();
    const right = (kind: OwnedKind) =>
      owned.some((o) =>
        o.kind === kind && o.managed && [current, ...accepted].some(({ source }) => source.objects[kind] === o.digest)
      );
    return policy.proxy && right("ConfigMap") && (!policy.netpol || right("NetworkPolicy"));
  }
}
