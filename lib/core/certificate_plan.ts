/** Certificates are dated back by this, ms: a client's clock may be behind ours. */
export const BACKDATE_MS = 3_600_000;

/** Authorities that have signed before and are still trusted, at most. */
export const MAX_PREVIOUS = 8;

/** What is trusted but not in the Secret is left alone for so many times `settleMs`. */
const SURPLUS_SETTLES = 3;

/** No wait is longer, ms: the clock may jump meanwhile. */
const LONGEST_WAIT_MS = 60_000;

/** No wait is shorter, ms: what is due earlier is due now. */
const SHORTEST_WAIT_MS = 100;

/** A certificate authority of ours. Times are ms since 1970. */
export interface AuthorityFacts {
  /** Fingerprint of its certificate. */
  id: string;
  notBefore: number;
  notAfter: number;
}

/** The Secret that replicas agree by. Each part is there only if it can be read; without any the Secret is corrupt. */
export interface SecretFacts {
  /** Signs. */
  current: AuthorityFacts | undefined;
  /** Will sign once API servers trust it; signs already where `current` cannot. */
  next: AuthorityFacts | undefined;
  /** Have signed; certificates only. The newest first. */
  previous: AuthorityFacts[];
  /** End of `previous`, ms since 1970. */
  previousUntil: number | undefined;
}

/** What the webhook configuration makes API servers trust. */
export interface BundleFacts {
  /** Authorities of ours in the `caBundle` of every webhook of it, and for how long we have seen each there, ms. */
  trusted: readonly (AuthorityFacts & { sinceMs: number })[];
  /** For how long we have seen anything else in a `caBundle`, ms: certificates or text that are not the Secret's. */
  surplusMs: number | undefined;
}

/** The certificate that this replica serves. Times are ms since 1970. */
export interface LeafFacts {
  /** The authority that signed it. */
  issuer: AuthorityFacts;
  notBefore: number;
  notAfter: number;
}

/** All that the plan depends on. */
export interface CertificateFacts {
  /** Wall clock, ms since 1970; it may jump. */
  nowMs: number;
  /** Undefined: there is none. */
  secret: SecretFacts | undefined;
  /** Undefined: the webhook configuration does not exist. */
  bundle: BundleFacts | undefined;
  /** Undefined: none yet. */
  leaf: LeafFacts | undefined;
}

/** How long things take or last, ms. */
export interface CertificateTimings {
  /** Life of an authority. */
  authorityMs: number;
  /** Life of a leaf; it ends with its authority at the latest. */
  leafMs: number;
  /** For a change of the webhook configuration to reach every API server, with much to spare. */
  settleMs: number;
}

/** An authority that exists, or one to be made. */
export type Choice = { id: string } | "new";

/** What to do. */
export type CertificateStep =
  /** Make a leaf, and serve it. */
  | { do: "issue"; signer: string }
  /** Create or replace the Secret. */
  | {
    do: "store";
    because: "absent" | "corrupt" | "renewal" | "promotion" | "retirement";
    current: Choice | undefined;
    next: Choice | undefined;
    previous: string[];
    previousUntil: number | undefined;
  }
  /** Write these, in this order, into each `caBundle`. */
  | { do: "trust"; ids: string[] };

/**
 * What to do now, each independent of the others, and when to look again at the latest.
 *
 * A change of authority takes three writes of the Secret. It is added as `next`, so that every replica and the `caBundle` know it.
 * When it has been in the `caBundle` long enough for all API servers (`settleMs`), some replica makes it `current`; all then
 * sign with it. The one before stays trusted, without its key, for the life of a leaf: a replica that is cut off from the
 * API server may serve such a leaf to its end. Any replica may do each step; of two, the second fails on the
 * resourceVersion, reads again, and finds it done.
 */
export function planCertificates(
  facts: CertificateFacts,
  timings: CertificateTimings,
): { steps: CertificateStep[]; waitMs: number } {
  const plan = new Plan(facts, timings);
  const steps = [plan.issue(), plan.store(), plan.trust()].filter((step) => step !== undefined);
  return { steps, waitMs: plan.waitMs };
}

class Plan {
  readonly #facts: CertificateFacts;
  readonly #timings: CertificateTimings;
  #waitMs = LONGEST_WAIT_MS;

  constructor(facts: CertificateFacts, timings: CertificateTimings) {
    this.#facts = facts;
    this.#timings = timings;
  }

  get waitMs(): number {
    return this.#waitMs;
  }

  issue(): CertificateStep | undefined {
    const { secret, leaf, nowMs } = this.#facts;
    const signer = [secret?.current, secret?.next].find((authority) => authority && this.#isValid(authority));
    if (secret === undefined || signer === undefined) return undefined;
    const issue: CertificateStep = { do: "issue", signer: signer.id };
    if (leaf === undefined || !this.#isValid(leaf)) return issue;
    this.#lookAt(leaf.notAfter);
    if (leaf.issuer.id !== secret.current?.id && leaf.issuer.id !== secret.next?.id) {
      // Its authority signs no more. As long as API servers trust that one and may not yet trust the new one, it serves.
      const early = signer === secret.next && this.#settlesInMs(signer) > 0;
      return early && this.#isTrusted(leaf.issuer) ? undefined : issue;
    }
    // Near the end of an authority a new leaf would not live longer than the old one.
    const gainMs = Math.min(nowMs + this.#timings.leafMs, signer.notAfter) - leaf.notAfter;
    return this.#isOld(leaf) && gainMs > this.#timings.leafMs / 10 ? issue : undefined;
  }

  store(): CertificateStep | undefined {
    const { secret, leaf, nowMs } = this.#facts;
    const { current, next } = secret ?? {};
    const previousUntil = nowMs + this.#timings.leafMs + BACKDATE_MS;
    if (secret === undefined || (current === undefined && next === undefined)) {
      const because = secret === undefined ? "absent" : "corrupt";
      const former = newest([...(secret?.previous ?? []), ...this.#trusted()], leaf?.issuer);
      // Leaves of former authorities may be in service: the new one has to wait as in every change.
      return former.length === 0
        ? { do: "store", because, current: "new", next: undefined, previous: [], previousUntil: undefined }
        : { do: "store", because, current: undefined, next: "new", previous: former, previousUntil };
    }
    const kept = {
      current: current && { id: current.id },
      next: next && { id: next.id },
      previous: secret.previous.map(({ id }) => id),
      previousUntil: secret.previousUntil,
    };
    if (next !== undefined && !this.#isValid(next)) {
      const previous = newest([next, ...secret.previous]);
      return { do: "store", because: "renewal", ...kept, next: "new", previous, previousUntil };
    }
    if (next === undefined && current !== undefined && (!this.#isValid(current) || this.#isOld(current))) {
      return { do: "store", because: "renewal", ...kept, next: "new" };
    }
    if (next !== undefined && this.#settlesInMs(next) <= 0) {
      const previous = newest([...(current ? [current] : []), ...secret.previous]);
      const until = previous.length > 0 ? previousUntil : undefined;
      return {
        do: "store",
        because: "promotion",
        current: { id: next.id },
        next: undefined,
        previous,
        previousUntil: until,
      };
    }
    return this.#retire(secret, { do: "store", because: "retirement", ...kept });
  }

  /** Ends the trust in former authorities; a time that cannot be ours (lost, or by a clock that was wrong) begins anew. */
  #retire(secret: SecretFacts, kept: CertificateStep & { do: "store" }): CertificateStep | undefined {
    if (secret.previous.length === 0) return undefined;
    const { nowMs, leaf } = this.#facts;
    const longest = nowMs + this.#timings.leafMs + BACKDATE_MS;
    const until = secret.previousUntil;
    if (until === undefined || until > longest + BACKDATE_MS) return { ...kept, previousUntil: longest };
    this.#lookAt(until);
    if (until > nowMs || secret.previous.some(({ id }) => id === leaf?.issuer.id)) return undefined;
    return { ...kept, previous: [], previousUntil: undefined };
  }

  trust(): CertificateStep | undefined {
    const { secret, bundle } = this.#facts;
    if (bundle === undefined || secret === undefined || (secret.current ?? secret.next) === undefined) return undefined;
    const ids = [secret.current, secret.next, ...secret.previous].flatMap((authority) =>
      authority ? [authority.id] : []
    );
    if (!ids.every((id) => bundle.trusted.some((authority) => authority.id === id))) {
      // Another replica may know a newer Secret than we do: what it added stays for now.
      const others = bundle.trusted.map(({ id }) => id).filter((id) => !ids.includes(id));
      return { do: "trust", ids: [...ids, ...others] };
    }
    if (bundle.surplusMs === undefined) return undefined;
    // What the Secret lost may have signed leaves in service: first another authority has to settle and sign others.
    const leftMs = this.#timings.settleMs * SURPLUS_SETTLES - bundle.surplusMs;
    this.#lookIn(leftMs);
    return leftMs <= 0 ? { do: "trust", ids } : undefined;
  }

  #trusted(): AuthorityFacts[] {
    return this.#facts.bundle?.trusted.filter((authority) => authority.notAfter > this.#facts.nowMs) ?? [];
  }

  #isTrusted({ id }: AuthorityFacts): boolean {
    return this.#facts.bundle?.trusted.some((authority) => authority.id === id) ?? false;
  }

  /** When an authority will have been trusted long enough for all API servers to know; Infinity: nothing is under way. */
  #settlesInMs({ id }: AuthorityFacts): number {
    const since = this.#facts.bundle?.trusted.find((authority) => authority.id === id)?.sinceMs;
    if (since === undefined) return Infinity;
    this.#lookIn(this.#timings.settleMs - since);
    return this.#timings.settleMs - since;
  }

  /** For us, and for an API server whose clock is a bit ahead or behind: a clock that jumps may come close to either end. */
  #isValid({ notBefore, notAfter }: { notBefore: number; notAfter: number }): boolean {
    const skewMs = BACKDATE_MS / 2;
    const lifeMs = notAfter - notBefore - BACKDATE_MS;
    return notBefore + skewMs <= this.#facts.nowMs && this.#facts.nowMs < notAfter - Math.min(skewMs, lifeMs / 10);
  }

  /** Past two thirds of its life. */
  #isOld({ notBefore, notAfter }: { notBefore: number; notAfter: number }): boolean {
    const made = notBefore + BACKDATE_MS;
    const renewAt = made + (notAfter - made) * 2 / 3;
    this.#lookAt(renewAt);
    return renewAt <= this.#facts.nowMs;
  }

  #lookAt(timeMs: number): void {
    this.#lookIn(timeMs - this.#facts.nowMs);
  }

  /** A time in the past asks for nothing: it was acted on, or cannot be. */
  #lookIn(ms: number): void {
    if (ms > 0) this.#waitMs = Math.min(this.#waitMs, Math.max(ms, SHORTEST_WAIT_MS));
  }
}

/** Ids without repetition: first the one that we cannot do without, then the newest, at most `MAX_PREVIOUS`. */
function newest(authorities: readonly AuthorityFacts[], first?: AuthorityFacts): string[] {
  const rest = authorities.toSorted((a, b) => b.notBefore - a.notBefore);
  return [...new Set([...(first ? [first] : []), ...rest].map(({ id }) => id))].slice(0, MAX_PREVIOUS);
}
