import { type Owned, type OwnedKind, ownedNames } from "../core/desired_state.ts";
import type { Source } from "../state/source.ts";

/**
 * What we wrote and our caches do not show yet, so that nothing is written twice; and what others deleted, which a cache alone cannot
 * tell from what never was.
 */
export class Written {
  /** How long a write is believed without the watch confirming it, ms. */
  readonly ttlMs = 30_000;
  readonly #now: () => number;
  readonly #sources: Readonly<Record<OwnedKind, Source<Owned>>>;
  readonly #open = new Map<string, { owned: Owned; until: number }>();
  readonly #deleted = new Set<string>();
  readonly #removing = new Set<string>();

  /** `now` is a clock in ms that never goes back. */
  constructor(sources: Readonly<Record<OwnedKind, Source<Owned>>>, now: () => number) {
    this.#sources = sources;
    this.#now = now;
  }

  /** Follows the caches; returns how to end that. */
  follow(): () => void {
    const ends = Object.values(this.#sources).map((source) =>
      source.subscribe(({ type, value }) => {
        const key = keyOf(value.kind, value.namespace);
        const open = this.#open.get(key);
        // A deletion tells the version that was seen before it, so the uid says whether it regards what we wrote.
        const earlier = type === "deleted" ? open?.owned.uid !== value.uid : open && isNewer(open.owned, value);
        if (open !== undefined && earlier) return;
        this.#open.delete(key);
        if (type !== "deleted") this.#deleted.delete(key);
        else if (!this.#removing.delete(key) && value.managed) this.#deleted.add(key);
      })
    );
    return () => ends.forEach((end) => end());
  }

  /** Notes the answer to a write. */
  wrote(owned: Owned): void {
    const key = keyOf(owned.kind, owned.namespace);
    this.#deleted.delete(key);
    this.#removing.delete(key);
    const seen = this.#sources[owned.kind].get(`${owned.namespace}/${ownedNames[owned.kind]}`);
    if (seen !== undefined && !isNewer(owned, seen)) return;
    this.#open.set(key, { owned, until: this.#now() + this.ttlMs });
  }

  /** Notes that we are deleting an object. */
  removing({ kind, namespace }: { kind: OwnedKind; namespace: string }): void {
    this.#open.delete(keyOf(kind, namespace));
    this.#removing.add(keyOf(kind, namespace));
  }

  /** Notes that a deletion of ours came to nothing. */
  notRemoving({ kind, namespace }: { kind: OwnedKind; namespace: string }): void {
    this.#removing.delete(keyOf(kind, namespace));
  }

  /** Whether an object of ours was deleted by somebody else and is not back yet. */
  wasDeleted(kind: OwnedKind, namespace: string): boolean {
    return this.#deleted.has(keyOf(kind, namespace));
  }

  /** Notes that what was deleted in a namespace went for a good reason: the namespace is going, or is not ours any more. */
  forgetDeletions(namespace: string): void {
    for (const kind of ["ConfigMap", "NetworkPolicy"] as const) this.#deleted.delete(keyOf(kind, namespace));
  }

  /** Whether a write in a namespace still waits for the watch to show it. */
  isOpen(namespace: string): boolean {
    return (["ConfigMap", "NetworkPolicy"] as const).some((kind) => this.#current(kind, namespace) !== undefined);
  }

  /** The cached objects of one namespace, corrected by what we wrote since. */
  overlay(owned: readonly Owned[], namespace: string): Owned[] {
    const corrected = new Map(owned.map((o) => [o.kind, o]));
    for (const kind of ["ConfigMap", "NetworkPolicy"] as const) {
      const open = this.#current(kind, namespace);
      if (open !== undefined) corrected.set(kind, open);
    }
    return [...corrected.values()];
  }

  #current(kind: OwnedKind, namespace: string): Owned | undefined {
    const key = keyOf(kind, namespace);
    const open = this.#open.get(key);
    if (open === undefined || this.#now() < open.until) return open?.owned;
    this.#open.delete(key);
    return undefined;
  }
}

function keyOf(kind: OwnedKind, namespace: string): string {
  return `${kind} ${namespace}`;
}

/** Resource versions are decimal numbers that grow (guaranteed since Kubernetes 1.35, true of etcd before). */
function isNewer(a: Owned, b: Owned): boolean {
  return BigInt(a.resourceVersion || 0) > BigInt(b.resourceVersion || 0);
}
