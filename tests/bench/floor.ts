import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { exists } from "../cluster/cache.ts";
import { LIQO, liqoPod } from "../cluster/liqo.ts";
import { freePort } from "../cluster/network.ts";
import { Authority } from "../cluster/pki.ts";
import { until } from "../cluster/processes.ts";
import { NAMESPACE, type Stage } from "./setup.ts";

/** Namespaces whose webhook is the floor; as long as that of Data Spacer, so that the reviews are of one length. */
export const FLOORS = ["floor-a-room", "floor-b-room"] as const;

/** A webhook that answers at once with a constant, called for the pods of its own namespaces. */
export class Floor {
  readonly #stage: Stage;
  readonly #tool: string;
  readonly #address: string;

  private constructor(stage: Stage, tool: string) {
    this.#stage = stage;
    this.#tool = tool;
    this.#address = `${stage.cluster.webhookAddress}:${freePort()}`;
  }

  /** Starts it with its namespaces; so far it allows each pod as it is. */
  static async start(stage: Stage, tool: string): Promise<Floor> {
    const floor = new Floor(stage, tool);
    const { cluster, folder } = stage;
    const authority = await Authority.create();
    const { cert, key } = await authority.issue({ name: "floor", hosts: [cluster.webhookAddress] });
    await Deno.writeTextFile(`${folder}/floor.pem`, cert);
    await Deno.writeTextFile(`${folder}/floor.key`, key);
    await Deno.writeTextFile(`${folder}/floor-ca.pem`, authority.ca);
    for (const name of FLOORS) {
      await cluster.call("/api/v1/namespaces", { ...LIQO, body: { metadata: { name, labels: { floor: "yes" } } } });
      await cluster.serviceAccount(name);
    }
    await cluster.call("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", {
      body: {
        metadata: { name: "floor" },
        webhooks: [{
          name: "floor.data-spacer.test",
          admissionReviewVersions: ["v1"],
          clientConfig: { url: `https://${floor.#address}/mutate`, caBundle: btoa(authority.ca) },
          rules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"] }],
          namespaceSelector: { matchLabels: { floor: "yes" } },
          failurePolicy: "Fail",
          timeoutSeconds: 5,
          sideEffects: "None",
          reinvocationPolicy: "IfNeeded",
        }],
      },
    });
    await floor.#run([`-record=${folder}/recorded.json`]);
    return floor;
  }

  /** The review that the API server sends of Liqo's pod, as if the pod were in Data Spacer's namespace. */
  async recordReview(): Promise<string> {
    const { folder } = this.#stage;
    await this.#createPod();
    return (await Deno.readTextFile(`${folder}/recorded.json`)).replaceAll(FLOORS[0], NAMESPACE);
  }

  /** From now on it answers with this patch, JSON in base64. */
  async answer(patch: string): Promise<void> {
    await this.#stage.cluster.processes.stop("floor", "SIGTERM");
    await this.#run([`-patch=${patch}`]);
    const pod = await this.#createPod();
    if (pod.spec?.initContainers?.length !== 2) throw new Error("Cannot begin: the floor's patch has no effect");
  }

  /** How to send the review that `recordReview` gave straight to it; flags of the load generator. */
  reviewFlags(): Record<string, string> {
    const { folder } = this.#stage;
    return { url: `https://${this.#address}/mutate`, ca: `${folder}/floor-ca.pem`, body: `${folder}/review.json` };
  }

  async #run(flags: string[]): Promise<void> {
    const { cluster, folder } = this.#stage;
    const files = [`-listen=${this.#address}`, `-cert=${folder}/floor.pem`, `-key=${folder}/floor.key`];
    await cluster.processes.start("floor", { command: [this.#tool, "floor", ...files, ...flags] });
  }

  /** Waits for the API server to know the webhook, and the webhook to listen. */
  async #createPod(): Promise<Pod> {
    const { liqo, folder, cluster } = this.#stage;
    const pod = await liqoPod(FLOORS[0]);
    return await until(async () => {
      const answer = await liqo.createPod(pod, { dryRun: true });
      if (!answer.created && await cluster.processes.exitCode("floor") !== undefined) {
        throw new Error(`Cannot start the floor: ${await cluster.processes.logTail("floor")}`);
      }
      return answer.created && await exists(`${folder}/recorded.json`) ? answer.pod : undefined;
    }, { ms: 10_000, what: "pod through the floor", every: 50 });
  }
}
