import { decodeReview, encodeReview } from "../../lib/core/admission.ts";
import { PRODUCT } from "../../lib/core/names.ts";
import { KubeClient } from "../../lib/kube/client.ts";
import { loadCredentials } from "../../lib/kube/credentials.ts";
import { sleep } from "../../lib/kube/time.ts";
import { createLog } from "../../lib/ops/log.ts";
import { createAdmissionHandler } from "../../lib/webhook/admission_server.ts";
import { CaCaches } from "../../lib/webhook/ca_caches.ts";
import type { KeyPair } from "../../lib/webhook/certificate_source.ts";
import { Front } from "../../lib/webhook/front.ts";
import { OwnCa, serviceNames, SETTLE_MS } from "../../lib/webhook/own_ca.ts";
import type { Cluster } from "./cluster.ts";
import type { DataSpacer } from "./data_spacer.ts";
import { freePort } from "./network.ts";
import { Replica } from "./replica.ts";

/** An hour, ms. */
export const HOUR = 3_600_000;

/** How many times as fast as in `serve` waits end and things settle: its minute takes 2 s. */
const SPEED = 30;

/**
 * The parts of `serve` that keep certificates, before a real API server and under a clock that the test sets: `serve` takes
 * days for what happens here in seconds. Pods are admitted as they are.
 */
export class AuthorityReplica implements AsyncDisposable {
  /** Every pair served, the newest last. */
  readonly pairs: KeyPair[] = [];
  /** Messages of its log from level error on. */
  readonly errors: string[] = [];
  /** How far its wall clock is ahead of the API server's, ms. */
  aheadMs: number;
  readonly #stop = new AbortController();
  readonly #client: KubeClient;
  readonly #front: Front;
  readonly #own: OwnCa;
  readonly #endpoint: Replica;
  readonly #work: Promise<unknown>[];

  private constructor(client: KubeClient, parts: { endpoint: Replica; namespace: string; aheadMs: number }) {
    const { endpoint, namespace, aheadMs } = parts;
    const log = createLog({ level: "error", write: (line) => this.errors.push(line) });
    const caches = new CaCaches({ client, namespace, webhookConfiguration: PRODUCT, log });
    this.aheadMs = aheadMs;
    this.#client = client;
    this.#endpoint = endpoint;
    this.#front = new Front({
      hostname: endpoint.webhook.hostname,
      port: Number(endpoint.webhook.port),
      handler: createAdmissionHandler({
        review: (body) => encodeReview(decodeReview(body).uid, { kind: "allow", reason: "already-injected" }),
        observe: { answered() {}, refused() {}, failed() {} },
      }),
    });
    this.#own = new OwnCa({
      client,
      caches,
      namespace,
      webhookConfiguration: PRODUCT,
      names: serviceNames(PRODUCT, namespace),
      timings: { authorityMs: 13 * HOUR, leafMs: 6 * HOUR, settleMs: SETTLE_MS },
      log,
      now: () => Date.now() + this.aheadMs,
      steady: () => performance.now() * SPEED,
      sleep: (ms, signal) => sleep(ms / SPEED, signal),
    });
    const { signal } = this.#stop;
    const serve = async () => {
      for await (const pair of this.#own.pairs(signal)) {
        this.#front.use(pair);
        this.pairs.push(pair);
      }
    };
    this.#work = [caches.run(signal), serve()];
  }

  /** Starts one, with the rights of the ServiceAccount; the API server calls it at once. */
  static async start(
    cluster: Cluster,
    installed: DataSpacer,
    options: { name: string; aheadMs: number },
  ): Promise<AuthorityReplica> {
    const { namespace, serviceAccount } = installed;
    const { name, aheadMs } = options;
    const kubeconfig = await cluster.writeKubeconfig(name, { token: await cluster.token(namespace, serviceAccount) });
    const credentials = await loadCredentials({ kubeconfig });
    const ports = { webhook: freePort(), ops: freePort() };
    const endpoint = new Replica(cluster, { name, namespace, address: cluster.webhookAddress, ports });
    const replica = new AuthorityReplica(new KubeClient({ credentials, fieldManager: PRODUCT }), {
      endpoint,
      namespace,
      aheadMs,
    });
    await endpoint.join({ name: PRODUCT, port: "webhook" });
    return replica;
  }

  /** Whether API servers have been told to trust what it serves. */
  get trusted(): boolean {
    return this.#own.trusted;
  }

  /** Out of the Service, then ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endpoint.leave();
    this.#stop.abort();
    await Promise.all(this.#work);
    await this.#front.close();
    this.#client[Symbol.dispose]();
  }
}
