import {
  type CertificateFacts,
  type CertificateStep,
  type CertificateTimings,
  type Choice,
  type LeafFacts,
  planCertificates,
} from "../core/certificate_plan.ts";
import { objects } from "../core/names.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isNotFound, KubeError } from "../kube/errors.ts";
import { resources } from "../kube/resources.ts";
import { Backoff, type Sleep, sleep as realSleep } from "../kube/time.ts";
import type { Log } from "../ops/log.ts";
import type { Source } from "../state/source.ts";
import {
  type BundleConfiguration,
  bundleFacts,
  bundlePatch,
  projectBundles,
  readBundles,
  SinceWhen,
} from "./ca_bundle.ts";
import { type CaSecret, type CaSecretContent, projectCaSecret, readCaSecret, writeCaSecret } from "./ca_secret.ts";
import type { CertificateSource, KeyPair } from "./certificate_source.ts";
import { type Certificate, readCertificates } from "./certificates.ts";
import { type Authority, CertificateMaker } from "./x509.ts";

/** What our own authority needs. */
export interface OwnCaDeps {
  client: Pick<KubeClient, "get" | "create" | "replace" | "jsonPatch">;
  /** What is watched, as {@linkcode CaCaches} has it; `synced` when both have been filled. */
  caches: { secrets: Source<CaSecret>; configurations: Source<BundleConfiguration>; synced: Promise<unknown> };
  /** Our own namespace. */
  namespace: string;
  /** Name of the webhook configuration. */
  webhookConfiguration: string;
  /** Host names and IP addresses of the certificate; {@linkcode serviceNames} makes those of a Service. */
  names: readonly string[];
  timings: CertificateTimings;
  log: Log;
  /** Wall clock, ms since 1970. */
  now?: () => number;
  /** Clock that never jumps, ms. */
  steady?: () => number;
  sleep?: Sleep;
  /** Jitter, in [0, 1). */
  random?: () => number;
}

/** A change of the webhook configuration reaches an API server's watch in a second, or after a stalled one was noticed. */
export const SETTLE_MS = 60_000;

/** New authorities are made this far apart at least, ms: clocks that disagree must not make thousands. */
const NEW_AUTHORITY_MS = 5_000;

/** What a step acts on, beside itself. */
interface StepContext {
  seen: Seen;
  maker: CertificateMaker;
  signal: AbortSignal;
}

/** A step that fails like this more often has another cause, such as an immutable Secret. */
const MAX_SUPERSEDED = 4;

/** What was last seen at the API server; replaced as a whole, so that a step acts on what its plan saw. */
interface Seen {
  readonly secret: CaSecret | undefined;
  /** The Secret, read. */
  readonly content: CaSecretContent | undefined;
  readonly configuration: BundleConfiguration | undefined;
}

/** Names by which API servers and others in the cluster call a Service. */
export function serviceNames(service: string, namespace: string): string[] {
  return [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`];
}

/**
 * Certificates of our own authority: it lies in a Secret by which all replicas agree, each signs its own leaf and keeps it in
 * memory, and each keeps the `caBundle` of the webhook configuration right. What to do is `core/certificate_plan`'s to say.
 */
export class OwnCa implements CertificateSource {
  readonly #deps: OwnCaDeps;
  readonly #now: () => number;
  readonly #steady: () => number;
  readonly #since = new SinceWhen();
  readonly #secretKey: string;
  #seen: Seen = { secret: undefined, content: undefined, configuration: undefined };
  #leaf: (LeafFacts & { issuer: Certificate }) | undefined;
  #madeAt = -Infinity;
  /** Steps in a row that others were quicker with, or so it seems. */
  #superseded = 0;
  /** Aborted when something has changed, to end a wait. */
  #changed = new AbortController();

  constructor(deps: OwnCaDeps) {
    this.#deps = deps;
    this.#secretKey = `${deps.namespace}/${objects.caSecret}`;
    this.#now = deps.now ?? Date.now;
    this.#steady = deps.steady ?? (() => performance.now());
  }

  /** API servers are told to trust the certificate in use. */
  get trusted(): boolean {
    const { secret, bundle, leaf } = this.#facts();
    return secret !== undefined && (bundle?.trusted.some(({ id }) => id === leaf?.issuer.id) ?? false);
  }

  /** See {@linkcode CertificateSource}. Beside the pairs it keeps the Secret and the webhook configuration right. */
  async *pairs(signal: AbortSignal): AsyncGenerator<KeyPair> {
    const { caches, random } = this.#deps;
    const backoff = new Backoff({ baseMs: 500, maxMs: 30_000, ...(random ? { random } : {}) });
    const [maker] = await Promise.all([CertificateMaker.load(), caches.synced]);
    const unfollow = this.#follow();
    try {
      while (!signal.aborted) {
        if (this.#changed.signal.aborted) this.#changed = new AbortController();
        const seen = this.#seen;
        const { steps, waitMs } = planCertificates(this.#facts(), this.#deps.timings);
        let failed = false;
        for (const step of steps) {
          const result = await this.#try(step, { seen, maker, signal });
          if (typeof result === "object") yield result;
          failed ||= result === "failed";
        }
        if (failed) await this.#wait(backoff.nextMs(), signal);
        else if (steps.length === 0) {
          backoff.reset();
          this.#superseded = 0;
          await this.#wait(waitMs, AbortSignal.any([signal, this.#changed.signal]));
          // An answer to our own write may have come after news of what happened next.
          if (!this.#changed.signal.aborted) this.#takeCached();
        }
      }
    } finally {
      unfollow();
    }
  }

  #takeCached(): void {
    const { caches: { secrets, configurations }, webhookConfiguration } = this.#deps;
    this.#seeSecret(secrets.get(this.#secretKey));
    this.#seeConfiguration(configurations.get(webhookConfiguration));
  }

  /** Takes what is cached, and what changes from now on. */
  #follow(): () => void {
    const { caches: { secrets, configurations }, webhookConfiguration } = this.#deps;
    this.#takeCached();
    const ends = [
      secrets.subscribe(({ type, key, value }) => {
        if (key === this.#secretKey) this.#seeSecret(type === "deleted" ? undefined : value);
      }),
      configurations.subscribe(({ type, key, value }) => {
        if (key === webhookConfiguration) this.#seeConfiguration(type === "deleted" ? undefined : value);
      }),
    ];
    return () => ends.forEach((end) => end());
  }

  #seeSecret(secret: CaSecret | undefined): void {
    this.#seen = { ...this.#seen, secret, content: secret && readCaSecret(secret) };
    this.#changed.abort();
  }

  #seeConfiguration(configuration: BundleConfiguration | undefined): void {
    this.#seen = { ...this.#seen, configuration };
    this.#changed.abort();
    this.#facts(); // notes the time
  }

  #facts(): CertificateFacts {
    const { content, configuration } = this.#seen;
    const expected = new Set(content?.certificates.keys());
    return {
      nowMs: this.#now(),
      secret: content?.facts,
      bundle: configuration?.bundles.length
        ? bundleFacts(readBundles(configuration, expected), this.#since, this.#steady())
        : undefined,
      leaf: this.#leaf,
    };
  }

  /** Does one step; a fault is logged, and the plan made anew from what is there then. */
  async #try(step: CertificateStep, context: StepContext): Promise<KeyPair | "done" | "failed"> {
    const { log } = this.#deps;
    try {
      switch (step.do) {
        case "issue":
          return await this.#issue(step.signer, context);
        case "store":
          await this.#store(step, context);
          break;
        case "trust":
          await this.#trust(step.ids, context);
          break;
      }
      return "done";
    } catch (error) {
      if (context.signal.aborted) return "failed";
      if (isSuperseded(error) && this.#superseded++ < MAX_SUPERSEDED) {
        log.debug("Certificate step was superseded", { step: step.do, error });
        return await this.#readAgain(context.signal);
      }
      log.error("Cannot keep certificates right", { step: step.do, error });
      return "failed";
    }
  }

  async #issue(signer: string, { seen, maker }: StepContext): Promise<KeyPair> {
    const { names, timings, log } = this.#deps;
    const authority = seen.content!.authorities.get(signer)!;
    const issuer = seen.content!.certificates.get(signer)!;
    const { cert, key } = await maker.leaf(authority, { nowMs: this.#now(), lifetimeMs: timings.leafMs, names });
    const [{ notBefore, notAfter }] = readCertificates(cert).certificates as [Certificate];
    this.#leaf = { issuer, notBefore, notAfter };
    log.info("Issued certificate", { names, notAfter: new Date(notAfter).toISOString(), authority: signer });
    return { cert, key, notAfter };
  }

  async #store(step: CertificateStep & { do: "store" }, { seen, maker, signal }: StepContext): Promise<void> {
    const { client, namespace, timings, log } = this.#deps;
    const authority = async (choice: Choice | undefined): Promise<Authority | undefined> => {
      if (choice !== "new") return choice && seen.content?.authorities.get(choice.id);
      await this.#wait(this.#madeAt + NEW_AUTHORITY_MS - this.#steady(), signal);
      this.#madeAt = this.#steady();
      return maker.authority({ nowMs: this.#now(), lifetimeMs: timings.authorityMs });
    };
    const secret = writeCaSecret({
      current: await authority(step.current),
      next: await authority(step.next),
      previous: this.#pemOf(step.previous, seen),
      previousUntil: step.previousUntil,
    }, { namespace, seen: seen.secret });
    const stored = seen.secret
      ? await client.replace(resources.Secret, secret, { signal })
      : await client.create(resources.Secret, secret, { signal });
    this.#seeSecret(projectCaSecret(stored));
    const authorities = [...this.#seen.content!.certificates.keys()];
    log.info("Stored certificate authorities", { because: step.because, authorities });
  }

  async #trust(ids: readonly string[], { seen, signal }: StepContext): Promise<void> {
    const { client, webhookConfiguration: name, log } = this.#deps;
    const patch = bundlePatch(seen.configuration!, this.#pemOf(ids, seen));
    const patched = await client.jsonPatch(resources.MutatingWebhookConfiguration, patch, { name, signal });
    this.#seeConfiguration(projectBundles(patched));
    log.info("Patched caBundle", { webhookConfiguration: name, authorities: ids });
  }

  /** Certificates of authorities, in PEM, from wherever we have seen them. */
  #pemOf(ids: readonly string[], { content, configuration }: Seen): string[] {
    const bundle = configuration ? readBundles(configuration, new Set()).trusted : [];
    const all = [...(content?.certificates.values() ?? []), ...bundle, ...(this.#leaf ? [this.#leaf.issuer] : [])];
    return ids.flatMap((id) => all.find((certificate) => certificate.id === id)?.pem ?? []);
  }

  /** What we know is out of date, and the watch may be late: ask. */
  async #readAgain(signal: AbortSignal): Promise<"done" | "failed"> {
    const { client, namespace, webhookConfiguration, log } = this.#deps;
    try {
      const [secret, configuration] = await Promise.all([
        absentIfNotFound(client.get(resources.Secret, { namespace, name: objects.caSecret, signal })),
        absentIfNotFound(client.get(resources.MutatingWebhookConfiguration, { name: webhookConfiguration, signal })),
      ]);
      this.#seeSecret(secret && projectCaSecret(secret));
      this.#seeConfiguration(configuration && projectBundles(configuration));
      return "done";
    } catch (error) {
      if (!signal.aborted) log.error("Cannot read certificate authorities", { error });
      return "failed";
    }
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const { sleep = realSleep } = this.#deps;
    if (ms > 0) await sleep(ms, signal).catch(() => {}); // whoever waits looks at the signal
  }
}

/** Somebody else wrote first; 422 is what a failed `test` of a JSON Patch gives. */
function isSuperseded(error: unknown): boolean {
  return isConflict(error) || isNotFound(error) || error instanceof KubeError && error.status === 422;
}

async function absentIfNotFound<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
