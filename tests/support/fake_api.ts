import { isDeepStrictEqual } from "node:util";
import { type Owned, ownedFacts, type OwnedKind } from "../../lib/core/desired_state.ts";
import { PRODUCT } from "../../lib/core/names.ts";
import { KubeError } from "../../lib/kube/errors.ts";
import { describe, type KubeObject, type Resource } from "../../lib/kube/resources.ts";
import type { Source } from "../../lib/state/source.ts";

type Stored = KubeObject & { data?: Record<string, string>; spec?: unknown; immutable?: boolean };
type Listener<T> = Parameters<Source<T>["subscribe"]>[0];

/** A cache that a test fills by hand. */
export class FakeSource<T> implements Source<T> {
  readonly #entries = new Map<string, T>();
  readonly #listeners = new Set<Listener<T>>();

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  values(): Iterable<T> {
    return this.#entries.values();
  }

  subscribe(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(key: string, value: T): void {
    const type = this.#entries.has(key) ? "updated" : "added";
    this.#entries.set(key, value);
    this.#listeners.forEach((listener) => listener({ type, key, value }));
  }

  delete(key: string): void {
    const value = this.#entries.get(key);
    if (value === undefined) return;
    this.#entries.delete(key);
    this.#listeners.forEach((listener) => listener({ type: "deleted", key, value }));
  }
}

/**
 * ConfigMaps and NetworkPolicies as an API server keeps them, as far as the reconciler can tell: applies merge, others' keys stay,
 * immutable objects keep their data, finalizers hold what is deleted. Every call is written down in `calls`; caches follow unless `paused`.
 */
export class FakeApi {
  readonly calls: string[] = [];
  readonly sources: Record<OwnedKind, FakeSource<Owned>> = {
    ConfigMap: new FakeSource(),
    NetworkPolicy: new FakeSource(),
  };
  /** The watch is late: caches do not follow until `resume`. */
  paused = false;
  readonly #objects = new Map<string, Stored>();
  readonly #namespaces = new Map<string, { metadata: { name: string; uid: string; deletionTimestamp?: string } }>();
  #version = 100;

  /** Lets a Namespace exist; with `terminating`, on its way out. */
  namespace(name: string, options: { terminating?: boolean } = {}): void {
    const gone = options.terminating ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {};
    this.#namespaces.set(name, { metadata: { name, uid: "ns-uid", ...gone } });
  }

  /** What is stored. */
  stored(kind: OwnedKind, namespace: string): Stored | undefined {
    return [...this.#objects.values()].find((o) => o.kind === kind && o.metadata?.namespace === namespace);
  }

  /** Somebody else changes an object, or makes it. */
  edit(object: Stored): void {
    this.#put(object.kind as OwnedKind, object);
  }

  /** Somebody else deletes an object. */
  remove(kind: OwnedKind, namespace: string): void {
    this.#drop(kind, this.stored(kind, namespace)!);
  }

  /** The watch catches up. */
  resume(): void {
    this.paused = false;
    for (const object of this.#objects.values()) this.#show(object);
  }

  // deno-lint-ignore require-await
  async get<T>(resource: Resource<T>, ref: { namespace?: string | undefined; name: string }): Promise<T> {
    this.calls.push(`get ${describe(resource, ref)}`);
    const found = resource.kind === "Namespace"
      ? this.#namespaces.get(ref.name)
      : this.#objects.get(keyOf(resource.kind, ref.namespace, ref.name));
    if (found === undefined) throw new KubeError({ status: 404, reason: "NotFound", message: "Cannot get: not there" });
    return structuredClone(found) as T;
  }

  // deno-lint-ignore require-await
  async apply<T>(
    resource: Resource<T>,
    ref: KubeObject,
    options: { contentBody?: string | Uint8Array } = {},
  ): Promise<{ created: boolean; object: T }> {
    const object = JSON.parse(new TextDecoder().decode(options.contentBody as Uint8Array)) as Stored;
    object.metadata = { ...object.metadata, ...ref.metadata }; // the path says where
    this.calls.push(`apply ${describe(resource, object.metadata)}`);
    const present = this.#objects.get(keyOf(resource.kind, object.metadata?.namespace, object.metadata?.name));
    const merged: Stored = {
      ...present,
      ...object,
      ...(present?.data ? { data: { ...present.data, ...object.data } } : {}),
      metadata: {
        ...present?.metadata,
        ...object.metadata,
        labels: { ...present?.metadata?.labels, ...object.metadata?.labels },
        managedFields: [{ manager: PRODUCT, operation: "Apply" }],
      },
    };
    refuseIfImmutable(present, merged);
    return { created: present === undefined, object: this.#put(resource.kind as OwnedKind, merged) as T };
  }

  // deno-lint-ignore require-await
  async replace<T>(resource: Resource<T>, object: T & KubeObject): Promise<T> {
    const { namespace, name } = object.metadata ?? {};
    this.calls.push(`replace ${describe(resource, { namespace, name })}`);
    const present = this.#objects.get(keyOf(resource.kind, namespace, name));
    refuseIfImmutable(present, object as Stored);
    const managedFields = [{ manager: PRODUCT, operation: "Apply" }];
    const { uid, deletionTimestamp } = present?.metadata ?? {};
    const going = deletionTimestamp === undefined ? {} : { deletionTimestamp };
    const stored = { ...object, metadata: { ...object.metadata, uid, managedFields, ...going } };
    if (deletionTimestamp !== undefined && !stored.metadata.finalizers?.length) {
      this.#drop(resource.kind as OwnedKind, present!);
      return stored as T;
    }
    return this.#put(resource.kind as OwnedKind, stored as Stored) as T;
  }

  // deno-lint-ignore require-await
  async delete(
    resource: Resource<unknown>,
    ref: { namespace?: string; name: string; uid?: string | undefined },
  ): Promise<void> {
    this.calls.push(`delete ${describe(resource, { namespace: ref.namespace, name: ref.name })}`);
    const found = this.#objects.get(keyOf(resource.kind, ref.namespace, ref.name));
    if (found === undefined) {
      throw new KubeError({ status: 404, reason: "NotFound", message: "Cannot delete: not there" });
    }
    if (ref.uid !== undefined && ref.uid !== found.metadata?.uid) {
      throw new KubeError({ status: 409, reason: "Conflict", message: "Cannot delete: another object" });
    }
    if (found.metadata?.finalizers?.length) this.going(resource.kind as OwnedKind, ref.namespace!);
    else this.#drop(resource.kind as OwnedKind, found);
  }

  /** Somebody else deletes what a finalizer holds. */
  going(kind: OwnedKind, namespace: string): void {
    const { metadata, ...object } = this.stored(kind, namespace)!;
    this.#put(kind, { ...object, metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } });
  }

  #put(kind: OwnedKind, object: Stored): Stored {
    const { namespace, name, uid } = object.metadata ?? {};
    const stored = structuredClone(object);
    stored.kind = kind;
    stored.metadata = {
      ...stored.metadata,
      uid: uid ?? `uid-${++this.#version}`,
      resourceVersion: String(++this.#version),
    };
    this.#objects.set(keyOf(kind, namespace, name), stored);
    this.#show(stored);
    return structuredClone(stored);
  }

  #show(object: Stored): void {
    if (this.paused) return;
    const kind = object.kind as OwnedKind;
    const key = `${object.metadata?.namespace}/${object.metadata?.name}`;
    const owned = ownedFacts(kind, object as Parameters<typeof ownedFacts>[1]);
    if (owned === undefined) this.sources[kind].delete(key);
    else this.sources[kind].set(key, owned);
  }

  #drop(kind: OwnedKind, object: Stored): void {
    const { namespace, name } = object.metadata ?? {};
    this.#objects.delete(keyOf(kind, namespace, name));
    this.sources[kind].delete(`${namespace}/${name}`);
  }
}

function keyOf(kind: string, namespace: string | undefined, name: string | undefined): string {
  return `${kind} ${namespace}/${name}`;
}

function refuseIfImmutable(present: Stored | undefined, object: Stored): void {
  if (!present?.immutable || (object.immutable && isDeepStrictEqual(object.data, present.data))) return;
  throw new KubeError({ status: 422, reason: "Invalid", message: "Cannot write: immutable" });
}
