import { publish, publishedTemplates, repair } from "../core/contract.ts";
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
}

/** How often another replica may win the race to publish before that is a fault. */
const TRIES = 10;

/**
 * The ConfigMap in which replicas tell each other what they inject: during a rollout each accepts the pods of the other version, and
 * running pods of the version before stay right.
 */
export class Contract {
  readonly #deps: ContractDeps;
  #injection: Injection;

  constructor(deps: ContractDeps) {
    this.#deps = deps;
    this.#injection = { current: new PreparedTemplate(deps.mine), accepted: [] };
  }

  /** What is injected here, and what is accepted besides. */
  injection(): Injection {
    return this.#injection;
  }

  /** Follows the ConfigMap; returns how to end that. */
  follow(): () => void {
    const { mine, published, namespace } = this.#deps;
    const update = () => {
      const templates = publishedTemplates(published.get(`${namespace}/${objects.contract}`));
      const others = templates.filter((template) => template.id !== mine.id);
      this.#injection = { ...this.#injection, accepted: others.map((template) => new PreparedTemplate(template)) };
    };
    update();
    return published.subscribe(update);
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
  publish(signal: AbortSignal): Promise<void> {
    return this.#write(publish, signal);
  }

  /**
   * Puts right what somebody else has changed. For the leader alone: replicas of three versions would push each other out for ever.
   *
   * @throws {KubeError} if the API server refuses.
   */
  repair(signal: AbortSignal): Promise<void> {
    return this.#write(repair, signal);
  }

  async #write(change: typeof publish, signal: AbortSignal): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#writeOnce(change, signal);
      } catch (error) {
        if (!isConflict(error) || tries === TRIES) throw error;
      }
    }
  }

  async #writeOnce(change: typeof publish, signal: AbortSignal): Promise<void> {
    const { client, namespace, mine } = this.#deps;
    const metadata = { name: objects.contract, namespace, labels: { [labels.managedBy]: PRODUCT } };
    try {
      const present = await client.get(resources.ConfigMap, { namespace, name: objects.contract, signal });
      const data = change(present.data, mine);
      if (data !== undefined) await client.replace(resources.ConfigMap, { ...present, data }, { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create(resources.ConfigMap, { metadata, data: change(undefined, mine)! }, { signal });
    }
  }
}
