import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import { leaseTerm, type LeaseTimings, nextLeaseStep, releasedLease, seeLease, type SeenLease } from "../core/lease.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isNotFound } from "../kube/errors.ts";
import { resources } from "../kube/resources.ts";
import { Deadline, type Sleep, sleep as realSleep } from "../kube/time.ts";
import type { Log } from "../ops/log.ts";

/** What {@linkcode runLeader} needs. */
export interface LeaderOptions {
  client: Pick<KubeClient, "get" | "create" | "replace">;
  /** Namespace of the Lease. */
  namespace: string;
  /** Name of the Lease. */
  name: string;
  /** Unlike that of any other process, ever: see {@linkcode leaderIdentity}. */
  identity: string;
  timings: LeaseTimings;
  /** The work of the leader. It stops soon after its signal is aborted; what it throws ends {@linkcode runLeader}. */
  lead: (signal: AbortSignal) => Promise<void>;
  log: Log;
  /** Told when the work starts and when it has stopped. */
  onChange?: (leading: boolean) => void;
  /** Steady clock, ms. */
  now?: () => number;
  /** Clock of the day, ms since 1970. */
  wall?: () => number;
  sleep?: Sleep;
  random?: () => number;
}

/** A holder's name: the replica's, for people, and something that no other process has, a restarted one neither. */
export function leaderIdentity(podName: string): string {
  return `${podName}_${crypto.randomUUID()}`;
}

/**
 * Runs `lead` whenever this replica holds the Lease, until the signal is aborted or `lead` ends by itself; then the
 * Lease is released. A leader that cannot renew, or sees that another one leads, aborts the signal of `lead`, and
 * stands again once it has stopped.
 *
 * @throws what `lead` throws.
 * @throws {Error} when `lead` has not stopped at the end of the Lease: only the end of the process can stop it then.
 */
export async function runLeader(options: LeaderOptions, signal: AbortSignal): Promise<void> {
  const leader = new Leader(options);
  for (;;) {
    const sentMs = await leader.acquire(signal);
    if (sentMs === undefined) return;
    const stopped = await leader.serve(sentMs, signal);
    if (stopped === "for good") return;
  }
}

/** What came of one attempt to write the Lease. */
type Outcome =
  | { is: "ours"; sentMs: number }
  | { is: "another's"; holder: string; waitMs: number }
  | { is: "contested" } // somebody wrote since we looked
  | { is: "unknown" }; // no answer, or an error

class Leader {
  readonly #options: LeaderOptions;
  readonly #now: () => number;
  readonly #wall: () => number;
  readonly #sleep: Sleep;
  readonly #random: () => number;
  #seen: SeenLease | undefined;
  /** As it was at the last look; undefined: look again before writing. */
  #current: { lease: Lease | undefined } | undefined;
  #failures = 0;
  #otherHolder = "";

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#wall = options.wall ?? Date.now;
    this.#sleep = options.sleep ?? realSleep;
    this.#random = options.random ?? Math.random;
  }

  /** Waits until the Lease is ours; returns when the write was sent that made it so, or undefined on abort. */
  async acquire(signal: AbortSignal): Promise<number | undefined> {
    const { timings, log } = this.#options;
    while (!signal.aborted) {
      const outcome = await this.#attempt(signal);
      if (outcome.is === "ours" && this.#now() < leaseTerm(outcome.sentMs, timings).stopAtMs) return outcome.sentMs;
      if (outcome.is === "another's" && outcome.holder !== this.#otherHolder) {
        this.#otherHolder = outcome.holder;
        log.info("Another replica leads", { holder: outcome.holder });
      }
      const waitMs = outcome.is === "another's" ? outcome.waitMs : timings.retryMs;
      // A little more by chance, so that two replicas do not collide at each look.
      await this.#pause(waitMs + timings.retryMs * this.#random() / 5, signal);
    }
    return undefined;
  }

  /** Leads until the signal is aborted, the Lease is lost or the work ends by itself; the work has stopped then. */
  async serve(sentMs: number, signal: AbortSignal): Promise<"for good" | "for now"> {
    const { identity, lead, log, onChange } = this.#options;
    using term = new Deadline(signal); // without a time of its own: `#watch` has it
    const held = { sentMs };
    this.#otherHolder = "";
    log.info("Leading", { identity });
    onChange?.(true);
    // The work that ends ends the term; its failure is thrown below, after the Lease is given back.
    const work = Promise.resolve().then(() => lead(term.signal)).finally(() => term.abort());
    const ended = work.then((): true => true, (): true => true);
    const [beaten, late] = await Promise.all([this.#keep(held, term), this.#watch(held, term)]);
    await this.#stopped(ended, held);
    onChange?.(false);
    const lost = beaten ?? late;
    if (lost === undefined) await this.#release();
    else log.warn("Lost the lead", { why: lost });
    await work;
    return lost === undefined ? "for good" : "for now";
  }

  /** Renews until the term ends; returns why it was lost, or nothing if it was not. */
  async #keep(held: { sentMs: number }, term: Deadline): Promise<string | undefined> {
    const { timings } = this.#options;
    let waitMs = timings.renewMs;
    for (;;) {
      await this.#pause(waitMs, term.signal);
      if (term.signal.aborted) return undefined;
      const outcome = await this.#attempt(term.signal);
      switch (outcome.is) {
        case "ours":
          held.sentMs = outcome.sentMs;
          waitMs = timings.renewMs;
          break;
        case "contested":
          waitMs = waitMs > 0 ? 0 : timings.retryMs; // look at once, but not in a circle
          break;
        case "unknown":
          waitMs = timings.retryMs;
          break;
        case "another's":
          term.abort();
          return `${outcome.holder} holds the Lease`;
      }
    }
  }

  /** Ends the term in time before the last renewal runs out; returns so, or nothing if it ended before. */
  async #watch(held: { sentMs: number }, term: Deadline): Promise<string | undefined> {
    while (!term.signal.aborted) {
      const leftMs = leaseTerm(held.sentMs, this.#options.timings).stopAtMs - this.#now();
      if (leftMs <= 0) {
        term.abort();
        return "it could not be renewed in time";
      }
      await this.#pause(leftMs, term.signal);
    }
    return undefined;
  }

  /** Waits for the end of the work, no longer than the Lease holds; after a pause of the process a little longer. */
  async #stopped(ended: Promise<true>, held: { sentMs: number }): Promise<void> {
    const { timings } = this.#options;
    using waiting = new Deadline();
    const leftMs = leaseTerm(held.sentMs, timings).endsAtMs - this.#now();
    const stopped = await Promise.race([ended, this.#pause(Math.max(timings.stopMs, leftMs), waiting.signal)]);
    waiting.abort();
    if (stopped !== true) throw new Error("Cannot give up the lead: its work goes on at the end of the Lease");
  }

  /** Looks if need be, and takes the next step. */
  async #attempt(signal: AbortSignal): Promise<Outcome> {
    const { identity, timings } = this.#options;
    try {
      const { lease } = this.#current ??= await this.#look(signal);
      const now = { steadyMs: this.#now(), wallMs: this.#wall() };
      const step = nextLeaseStep(this.#seen!, { identity, timings }, now);
      if (step.do === "wait") {
        this.#current = undefined;
        return { is: "another's", holder: this.#seen!.spec.holderIdentity ?? "", waitMs: step.ms };
      }
      await this.#write(step.do, { ...lease, spec: { ...lease?.spec, ...step.spec } }, signal);
      this.#failures = 0;
      return { is: "ours", sentMs: now.steadyMs };
    } catch (error) {
      if (signal.aborted) return { is: "unknown" };
      if (isConflict(error) || (this.#seen?.exists && isNotFound(error))) return { is: "contested" };
      // Of a long row of failures the 1st, 2nd, 4th, 8th and so on are worth a line.
      if (Math.log2(++this.#failures) % 1 === 0) {
        this.#options.log.warn("Cannot get or renew the Lease yet", { error, failures: this.#failures });
      }
      return { is: "unknown" };
    }
  }

  async #look(signal: AbortSignal | undefined): Promise<{ lease: Lease | undefined }> {
    const { client, namespace, name } = this.#options;
    const lease = await client.get(resources.Lease, { namespace, name, ...this.#call(signal) })
      .catch((error) => {
        if (!isNotFound(error)) throw error;
        return undefined;
      });
    this.#seen = seeLease(this.#seen, lease && (lease.spec ?? {}), this.#now());
    return { lease };
  }

  async #write(how: "create" | "replace", lease: Lease, signal: AbortSignal | undefined): Promise<void> {
    const { client, namespace, name } = this.#options;
    this.#current = undefined; // until the answer comes, nobody knows
    const { apiVersion, kind } = resources.Lease;
    const metadata = how === "create" ? { namespace, name } : { ...lease.metadata, namespace, name };
    const written = await client[how](
      resources.Lease,
      { ...lease, apiVersion, kind, metadata } as Lease,
      this.#call(signal),
    );
    this.#seen = seeLease(this.#seen, written.spec ?? {}, this.#now());
    this.#current = { lease: written };
  }

  /** Gives the Lease back, as far as the API server lets us; without, the next leader has to wait. */
  async #release(tries = 2): Promise<void> {
    const { identity, log } = this.#options;
    try {
      const { lease } = this.#current ?? await this.#look(undefined);
      if (lease?.spec?.holderIdentity !== identity) return;
      await this.#write("replace", { ...lease, spec: releasedLease(lease.spec, this.#wall()) }, undefined);
      log.info("Released the lead");
    } catch (error) {
      if (isConflict(error) && tries > 1) return this.#release(tries - 1); // a renewal that the abort cut short arrived
      log.warn("Cannot release the Lease: the next leader waits until it runs out", { error });
    }
  }

  /** One try, in bounded time: a retry is a new step. */
  #call(signal: AbortSignal | undefined): { signal: AbortSignal | undefined; timeoutMs: number; retries: number } {
    return { signal, timeoutMs: this.#options.timings.callMs, retries: 0 };
  }

  /** Sleeps; ends early on abort. */
  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return this.#sleep(ms, signal).catch(() => {});
  }
}
