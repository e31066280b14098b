import {
  type AuthorityFacts,
  BACKDATE_MS,
  type CertificateStep,
  type CertificateTimings,
  type Choice,
  type LeafFacts,
  planCertificates,
  type SecretFacts,
} from "../../lib/core/certificate_plan.ts";

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** Short lives, so that many of them pass. */
export const timings: CertificateTimings = { authorityMs: 12 * HOUR, leafMs: 2 * HOUR, settleMs: MINUTE };

/** An API server knows a change of the webhook configuration after this at most; a replica knows one of anything. */
const SERVER_LAG_MS = 20 * SECOND;
const REPLICA_LAG_MS = 2 * SECOND;

/** After a jump of the clock, until all must be well again: a replica looks at the clock each minute, then changes must spread. */
const JUMP_MS = 2 * MINUTE;

/** After a change of the caBundle by somebody, until it must be put right everywhere. */
const REPAIR_MS = SERVER_LAG_MS + 2 * REPLICA_LAG_MS;

/** After a new replica finds itself trusted, until it must be: it may have come while authorities were changing. */
const START_MS = timings.settleMs + REPAIR_MS;

type Stored = { version: number; secret: SecretFacts } | undefined;
interface Bundle {
  version: number;
  authorities: AuthorityFacts[];
}

interface Replica {
  name: string;
  startedAt: number;
  /** When it first found its leaf trusted. */
  readyAt: number;
  /** Its leaf may fail until then, because of a fault. */
  excusedUntil: number;
  stored: Stored;
  bundle: Bundle;
  since: Map<string, number>;
  leaf: LeafFacts | undefined;
  /** Skew of its clock, ms. */
  skewMs: number;
  /** It reaches the API server again at this time. */
  cutUntil: number;
  wake: number;
}

/** Replicas, API servers and what is stored, in simulated time; `random` decides all that chance decides. */
export class Simulation {
  readonly random: () => number;
  /** Steady time, ms. */
  now = 0;
  /** What the wall clock is ahead of steady time. */
  wallMs = Date.UTC(2026, 0, 1);
  stored: Stored;
  bundle: Bundle = { version: 1, authorities: [] };
  writes = 0;
  /** What was done, for the message of a failure. */
  readonly log: string[] = [];
  readonly #servers: Bundle[] = [this.bundle, this.bundle];
  readonly replicas: Replica[];
  readonly #events: { at: number; run: () => void }[] = [];
  #made = 0;

  constructor(random: () => number, replicas: number) {
    this.random = random;
    this.replicas = Array.from({ length: replicas }, (_, i) => this.#start(`r${i}`));
  }

  /** Runs until `time`, checking all the while. */
  runUntil(time: number): void {
    for (;;) {
      const replica = this.replicas.reduce((a, b) => a.wake <= b.wake ? a : b);
      const event = this.#events.reduce((a, b) => a && a.at <= b.at ? a : b, this.#events[0]);
      const at = Math.min(replica.wake, event?.at ?? Infinity);
      if (at > time) break;
      this.now = Math.max(this.now, at);
      if (event && event.at <= replica.wake) {
        this.#events.splice(this.#events.indexOf(event), 1);
        event.run();
      } else this.#act(replica);
      this.#check();
    }
    this.now = time;
  }

  /** Something bad happens now. */
  fault(kind: number): void {
    const replica = this.replicas[Math.floor(this.random() * this.replicas.length)]!;
    const jump = (ms: number) => () => {
      this.wallMs += ms;
      for (const replica of this.replicas) {
        this.#excuse(replica, Math.max(this.#reachable(), replica.cutUntil) + JUMP_MS);
      }
    };
    const rebundle = (authorities: AuthorityFacts[]) => () => {
      this.#putBundle(authorities);
      for (const replica of this.replicas) this.#excuse(replica, this.#reachable() + REPAIR_MS);
    };
    const cut = () => {
      replica.cutUntil = this.now + this.random() * HOUR;
      for (const other of this.replicas) { // a repair that is under way may have to wait
        if (other.excusedUntil > this.now) this.#excuse(other, Math.max(this.#reachable(), other.cutUntil) + JUMP_MS);
      }
    };
    const faults: [string, () => void][] = [
      ["Secret deleted", () => this.#put(undefined)],
      [
        "Secret emptied",
        () => this.#put({ current: undefined, next: undefined, previous: [], previousUntil: undefined }),
      ],
      ["current authority corrupt", () => this.stored && this.#put({ ...this.stored.secret, current: undefined })],
      ["next authority corrupt", () => this.stored && this.#put({ ...this.stored.secret, next: undefined })],
      ["times lost", () => this.stored && this.#put({ ...this.stored.secret, previousUntil: undefined })],
      ["caBundle emptied", rebundle([])],
      ["foreign caBundle", rebundle([this.#authority()])],
      ["replica restarted", () => Object.assign(replica, this.#start(replica.name))],
      ["replica cut off", cut],
      ["clock forward", jump(this.random() * 20 * HOUR)],
      ["clock back", jump(-this.random() * 20 * HOUR)],
    ];
    const [name, run] = faults[kind % faults.length]!;
    this.log.push(`${this.#time()} fault: ${name}${/replica/.test(name) ? ` ${replica.name}` : ""}`);
    run();
    const known = new Set([...authoritiesOf(this.stored?.secret), ...this.bundle.authorities].map(({ id }) => id));
    for (const other of this.replicas) { // one that is cut off cannot tell the others what they have lost
      if (other.leaf && !known.has(other.leaf.issuer.id)) {
        this.#excuse(other, Math.max(this.#reachable(), other.cutUntil) + REPAIR_MS);
      }
    }
  }

  /** What is not as it must be when nothing has happened for long. */
  unsettled(): string[] {
    const { secret } = this.stored ?? {};
    const faults: string[] = [];
    if (!secret?.current) return ["there is no current authority"];
    for (const replica of this.replicas) {
      if (replica.leaf?.issuer.id !== secret.current.id) {
        faults.push(`${replica.name} serves a leaf of ${replica.leaf?.issuer.id}`);
      }
    }
    const expected = [secret.current, secret.next, ...secret.previous].flatMap((x) => x ? [x.id] : []).sort().join();
    const trusted = this.bundle.authorities.map(({ id }) => id).sort().join();
    const wallMs = this.now + this.wallMs;
    if (secret.previous.length > 0 && !(secret.previousUntil! > wallMs - 20 * MINUTE)) {
      faults.push("former ones were not dropped");
    }
    if (expected !== trusted) faults.push(`trusted are ${trusted}, stored are ${expected}`);
    return faults;
  }

  #excuse(replica: Replica, until: number): void {
    replica.excusedUntil = Math.max(replica.excusedUntil, until);
  }

  /** When a replica can repair what has happened now. */
  #reachable(): number {
    return Math.max(this.now, Math.min(...this.replicas.map(({ cutUntil }) => cutUntil)));
  }

  #start(name: string): Replica {
    return {
      name,
      startedAt: this.now,
      readyAt: Infinity,
      excusedUntil: 0,
      stored: this.stored,
      bundle: this.bundle,
      since: new Map(),
      leaf: undefined,
      skewMs: (this.random() - 0.5) * 20 * MINUTE,
      cutUntil: 0,
      wake: this.now + this.random() * SECOND,
    };
  }

  /** A replica plans, and does what it planned. */
  #act(replica: Replica): void {
    const { stored, bundle } = replica;
    const known = new Set(authoritiesOf(stored?.secret).map(({ id }) => id));
    const ids = bundle.authorities.map(({ id }) => id);
    const seen = ids.some((id) => !known.has(id)) ? [...ids, "surplus"] : ids;
    replica.since = new Map(seen.map((id) => [id, replica.since.get(id) ?? this.now]));
    const sinceMs = (id: string) => this.now - replica.since.get(id)!;
    const nowMs = this.now + this.wallMs + replica.skewMs;
    if (ids.some((id) => id === replica.leaf?.issuer.id)) {
      replica.readyAt = Math.min(replica.readyAt, this.now);
    }
    const { steps, waitMs } = planCertificates({
      nowMs,
      secret: stored?.secret,
      bundle: {
        trusted: bundle.authorities.map((authority) => ({ ...authority, sinceMs: sinceMs(authority.id) })),
        surplusMs: replica.since.has("surplus") ? sinceMs("surplus") : undefined,
      },
      leaf: replica.leaf,
    }, timings);
    replica.wake = this.now + (steps.length > 0 ? 10 + this.random() * 100 : waitMs);
    for (const step of steps) this.#do(replica, step, { stored, bundle, nowMs });
  }

  #do(replica: Replica, step: CertificateStep, on: { stored: Stored; bundle: Bundle; nowMs: number }): void {
    const known = [
      ...authoritiesOf(on.stored?.secret),
      ...on.bundle.authorities,
      ...(replica.leaf ? [replica.leaf.issuer] : []),
    ];
    const find = (id: string) => known.find((authority) => authority.id === id)!;
    if (step.do === "issue") {
      const issuer = find(step.signer);
      const notAfter = Math.min(on.nowMs + timings.leafMs, issuer.notAfter);
      replica.leaf = { issuer, notBefore: on.nowMs - BACKDATE_MS, notAfter };
      this.log.push(`${this.#time()} ${replica.name} issues a leaf of ${issuer.id}`);
      return;
    }
    if (replica.cutUntil > this.now) {
      replica.wake = this.now + 10 * SECOND;
      return;
    }
    if (step.do === "store") {
      if (this.stored?.version !== on.stored?.version) return this.#refresh(replica); // conflict
      const choose = (choice: Choice | undefined) =>
        choice === "new" ? this.#authority(on.nowMs) : choice && find(choice.id);
      const secret = {
        ...step,
        current: choose(step.current),
        next: choose(step.next),
        previous: step.previous.map(find),
      };
      this.log.push(
        `${this.#time()} ${replica.name} stores ${
          JSON.stringify(authoritiesOf(secret).map(({ id }) => id))
        }: ${step.because}`,
      );
      this.#put(secret);
    } else {
      if (this.bundle.version !== on.bundle.version) return this.#refresh(replica);
      this.log.push(`${this.#time()} ${replica.name} trusts ${step.ids}`);
      this.#putBundle(step.ids.map(find));
    }
    this.writes++;
    this.#refresh(replica);
  }

  #refresh(replica: Replica): void {
    replica.stored = this.stored;
    replica.bundle = this.bundle;
  }

  #put(secret: SecretFacts | undefined): void {
    this.stored = secret && { version: (this.stored?.version ?? 0) + 1 + Math.floor(this.random() * 9), secret };
    this.#spread();
  }

  #putBundle(authorities: AuthorityFacts[]): void {
    this.bundle = { version: this.bundle.version + 1, authorities };
    const { bundle } = this;
    this.#servers.forEach((_, index) => {
      this.#later(this.random() * SERVER_LAG_MS, () => {
        if (this.#servers[index]!.version < bundle.version) this.#servers[index] = bundle;
      });
    });
    this.#spread();
  }

  /** Each replica's watch brings what is there now, some time later. */
  #spread(): void {
    const { stored, bundle } = this;
    for (const replica of this.replicas ?? []) {
      const { startedAt } = replica;
      const arriveLast = () => {
        this.#refresh(replica);
        replica.wake = this.now;
      };
      const arrive = () => {
        if (replica.startedAt !== startedAt) return;
        if (replica.cutUntil > this.now) return this.#later(replica.cutUntil - this.now, arrive);
        replica.stored = stored;
        replica.bundle = bundle;
        replica.wake = this.now;
        if (stored !== this.stored || bundle !== this.bundle) this.#later(REPLICA_LAG_MS, arriveLast);
      };
      this.#later(this.random() * REPLICA_LAG_MS, arrive);
    }
  }

  #later(ms: number, run: () => void): void {
    this.#events.push({ at: this.now + ms, run });
  }

  #authority(nowMs = this.now + this.wallMs): AuthorityFacts {
    return { id: `ca${++this.#made}`, notBefore: nowMs - BACKDATE_MS, notAfter: nowMs + timings.authorityMs };
  }

  /** Every leaf in service verifies at every API server. @throws if one does not. */
  #check(): void {
    const nowMs = this.now + this.wallMs;
    for (const { name, leaf, readyAt, excusedUntil } of this.replicas) {
      if (this.now < Math.max(readyAt + START_MS, excusedUntil)) continue;
      for (const server of this.#servers) {
        const faults = [
          leaf === undefined && "there is none",
          leaf && !(leaf.notBefore <= nowMs && nowMs < leaf.notAfter) && "it is not valid now",
          leaf && !(leaf.issuer.notBefore <= nowMs && nowMs < leaf.issuer.notAfter) && "its authority is not valid now",
          leaf && !server.authorities.some(({ id }) => id === leaf.issuer.id) && `${leaf.issuer.id} is not trusted`,
        ].filter((fault) => fault);
        if (faults.length > 0) {
          throw new Error(`${this.#time()} leaf of ${name}: ${faults}\n${this.log.slice(-40).join("\n")}`);
        }
      }
    }
  }

  #time(): string {
    return `${(this.now / HOUR).toFixed(4)} h`;
  }
}

function authoritiesOf(secret: SecretFacts | undefined): AuthorityFacts[] {
  return [secret?.current, secret?.next, ...(secret?.previous ?? [])].flatMap((authority) =>
    authority ? [authority] : []
  );
}
