import { type At, expiry, publish, publishedTemplates, renew, RENEW_MS, repair } from "../core/contract.ts";
import type { InjectionTemplate } from "../core/injected.ts";
import { type Injection, PreparedTemplate } from "../core/injection.ts";
import { labels, objects, PRODUCT } from "../core/names.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isNotFound } from "../kube/errors.ts";
import { resources } from "../kube/resources.ts";
import type { Source } from "./source.ts";

/** What the contract needs. */
export interface ContractDeps {
  client: Pick<KubeClient, "get" | "create" | "replace">;
  /** Our own namespace. */
  namespace: string;
  /** What this replica injects. */
  mine: InjectionTemplate;
  /** The contract ConfigMap's data, as watched; its key is `namespace/name`. */
  published: Source<Readonly<Record<string, string>>>;
  /** Wall clock, ms since 1970: replicas compare their times. */
  now(): number;
}

type Data = Readonly<Record<string, string>>;

/** How often another replica may win the race to publish before that is a fault. */
const TRIES = 10;

/**
 * The ConfigMap in which replicas tell each other what they inject: during a rollout each accepts the pods of the other version, and
 * running pods of the version before stay right.
 */
export class Contract {
  readonly #deps: ContractDeps;
  #injection: Injection;
  /** When the first of those that are accepted stops being so. */
  #until = Infinity;

  constructor(deps: ContractDeps) {
    this.#deps = deps;
    this.#injection = { current: new PreparedTemplate(deps.mine), accepted: [] };
  }

  /** What is injected here, and what is accepted besides. What has expired is not, whether or not the leader has taken it off. */
  injection(): Injection {
    if (this.#deps.now() >= this.#until) this.#update();
    return this.#injection;
  }

  /** Follows the ConfigMap; returns how to end that. */
  follow(): () => void {
    this.#update();
    return this.#deps.published.subscribe(() => this.#update());
  }

  #update(): void {
    const { mine, published, namespace, now } = this.#deps;
    const others = publishedTemplates(published.get(`${namespace}/${objects.contract}`))
      .filter((template) => template.id !== mine.id && expiry(template) > now());
    this.#injection = { ...this.#injection, accepted: others.map((template) => new PreparedTemplate(template)) };
    this.#until = Math.min(...others.map(expiry));
  }

  /** Calls `listener` with the ConfigMap's key now and after each change, its deletion too, until the returned function is called. */
  subscribe(listener: (key: string) => void): () => void {
    const { published, namespace } = this.#deps;
    listener(`${namespace}/${objects.contract}`);
    return published.subscribe(({ key }) => listener(key));
  }

  /**
   * Sees to it that what this replica injects is published, as the newest; must be done before it injects anything.
   *
   * @throws {KubeError} if the API server refuses.
   */
  async publish(signal: AbortSignal): Promise<void> {
    await this.#write((data, at) => publish(data, this.#deps.mine, at), signal);
  }

  /**
   * Puts right what somebody else has changed, and takes off what has expired. For the leader alone: replicas of three versions would push
   * each other out for ever. Returns in how many ms the next one expires.
   *
   * @throws {KubeError} if the API server refuses.
   */
  async repair(signal: AbortSignal): Promise<{ requeueAfterMs?: number }> {
    const data = await this.#write((data, at) => repair(data, this.#deps.mine, at), signal);
    const next = Math.min(...publishedTemplates(data).map(expiry));
    return next === Infinity ? {} : { requeueAfterMs: Math.max(0, next - this.#deps.now()) };
  }

  /**
   * Keeps what this replica injects acceptable while a newer version is there too. Returns in how many ms to do so again.
   *
   * @throws {KubeError} if the API server refuses.
   */
  async renew(signal: AbortSignal): Promise<{ requeueAfterMs: number }> {
    const { mine, now, published, namespace } = this.#deps;
    const due = renew(published.get(`${namespace}/${objects.contract}`), mine, { now: now() }) !== undefined;
    if (due) await this.#write((data, at) => renew(data, mine, at), signal);
    return { requeueAfterMs: RENEW_MS };
  }

  /** Writes what `change` makes of the data, again after a conflict; returns what is there then. */
  async #write(change: (data: Data | undefined, at: At) => Data | undefined, signal: AbortSignal): Promise<Data> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#writeOnce((data) => change(data, { now: this.#deps.now() }), signal);
      } catch (error) {
        if (!isConflict(error) || tries === TRIES) throw error;
      }
    }
  }

  async #writeOnce(change: (data: Data | undefined) => Data | undefined, signal: AbortSignal): Promise<Data> {
    const { client, namespace } = this.#deps;
    const metadata = { name: objects.contract, namespace, labels: { [labels.managedBy]: PRODUCT } };
    try {
      const present = await client.get(resources.ConfigMap, { namespace, name: objects.contract, signal });
      const data = change(present.data);
      if (data !== undefined) await client.replace(resources.ConfigMap, { ...present, data }, { signal });
      return data ?? present.data ?? {};
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const data = change(undefined);
      if (data !== undefined) await client.create(resources.ConfigMap, { metadata, data }, { signal });
      return data ?? {};
    }
  }
}
