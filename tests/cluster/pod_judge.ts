import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { decide, type Decision } from "../../lib/core/admission.ts";
import type { Injection } from "../../lib/core/injection.ts";
import type { NamespacePolicy } from "../../lib/core/namespace_policy.ts";
import type { Settings } from "../../lib/core/settings.ts";
import { breach, type Images } from "../fuzz/breach.ts";
import { testInjection } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";
import type { Cluster, Identity } from "./cluster.ts";
import { LIQO } from "./liqo.ts";

/** Namespace of the provider's own: nobody asks us about its pods. */
const OWN = "own";

/** Images that the judge's replica has to inject. */
export const images: Images = { init: "localhost/init:judge", proxy: "localhost/proxy:judge" };

/** Flags of that replica. */
export const imageFlags: readonly string[] = [`--init-image=${images.init}`, `--proxy-image=${images.proxy}`];

/** How a pod is created. */
export interface JudgeOptions {
  /** Offloaded namespace. */
  namespace: string;
  /** What the provider allows there. */
  policy?: Partial<NamespacePolicy>;
  /** By default Liqo. */
  as?: Identity;
  /** Store nothing. */
  dryRun?: boolean;
}

/** What became of a pod: not valid to the API server whatever we say, refused by us, or created. */
export interface Judgement {
  outcome: "invalid" | "refused" | "admitted";
  /** The API server's. */
  message: string;
}

interface Answer {
  status: number;
  pod: Pod;
  message: string;
}

/**
 * Sends pods through a real API server twice, to a namespace of the provider's and to an offloaded one, and compares what happens with what our
 * decision says of the pod as the API server sees it.
 */
export class PodJudge {
  readonly #cluster: Cluster;
  readonly #injection: Injection;

  private constructor(cluster: Cluster, settings: Partial<Settings>) {
    this.#cluster = cluster;
    this.#injection = testInjection({ initImage: images.init, proxyImage: images.proxy, ...settings });
  }

  /** Makes the provider's namespace. A replica runs with `imageFlags`, and with what `settings` says. */
  static async create(cluster: Cluster, settings: Partial<Settings> = {}): Promise<PodJudge> {
    await cluster.call("/api/v1/namespaces", { body: { metadata: { name: OWN } } });
    await cluster.serviceAccount(OWN);
    return new PodJudge(cluster, settings);
  }

  /** What the replica injects. */
  get injection(): Injection {
    return this.#injection;
  }

  /** Sends one pod through; fails where API server and decision disagree, and, in the `restricted` profile, on a pod that must not run. */
  async judge(pod: unknown, options: JudgeOptions): Promise<Judgement> {
    const { namespace, policy = {}, as = LIQO, dryRun = false } = options;
    const plain = await this.#create(pod, OWN, true, LIQO);
    const answer = await this.#create(pod, namespace, dryRun, as);
    const { message } = answer;
    const shown = `${answer.status} ${message}\n${JSON.stringify(pod).slice(0, 3_000)}`;
    assert.ok(plain.status < 500 && answer.status < 500, shown);
    assert.doesNotMatch(message, /ValidatingAdmissionPolicy/, shown);
    if (answer.status === 201) {
      if ((policy.profile ?? "restricted") === "restricted") assert.equal(breach(answer.pod, images), undefined, shown);
    }
    if (plain.status !== 201) {
      // Not valid as it came; it may be without the token's volume, which we take out.
      if (answer.status === 201) return { outcome: "admitted", message };
      return { outcome: "invalid", message };
    }
    // The webhook is asked about a pod with all defaults, from which nothing has been dropped yet that this release does not do: in between what
    // came and what would be stored.
    const stored = this.#decide({ ...plain.pod, metadata: { ...plain.pod.metadata, namespace } }, options);
    if (answer.status === 201) {
      assert.notEqual(stored.kind, "deny", `${shown}\nwe say: ${JSON.stringify(stored)}`);
      return { outcome: "admitted", message };
    }
    const ours = [stored, this.#decide(pod as Pod, options)].flatMap((decision) =>
      decision.kind === "deny" ? [decision.message] : []
    );
    assert.equal(answer.status, 403, shown);
    assert.ok(ours.some((text) => message.includes(text)), `${shown}\nwe say: ${ours.join("\n")}`);
    return { outcome: "refused", message };
  }

  #decide(pod: Pod, { namespace, policy }: JudgeOptions): Decision {
    const view = { policy: testPolicy({ name: namespace, ...policy }), ready: true };
    return decide({ uid: "u", namespace, pod }, view, this.#injection);
  }

  async #create(given: unknown, namespace: string, dryRun: boolean, as: Identity): Promise<Answer> {
    const body = structuredClone(given) as Pod;
    // Unless a mutation has put something else there.
    if (body?.metadata?.namespace !== undefined && /^[a-z-]+-pharma$/.test(body.metadata.namespace)) {
      body.metadata.namespace = namespace;
    }
    const path = `/api/v1/namespaces/${namespace}/pods${dryRun ? "?dryRun=All" : ""}`;
    const answer = await this.#cluster.request<Pod & { message?: string }>(path, { ...as, method: "POST", body });
    return { status: answer.status, pod: answer.body, message: answer.body?.message ?? "" };
  }
}
