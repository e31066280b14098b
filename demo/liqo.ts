import type { Pod } from "kubernetes-types/core/v1.d.ts";
import type { RoleBinding } from "kubernetes-types/rbac/v1.d.ts";
import { LIQO, testdata, testdataPath } from "../tests/cluster/liqo.ts";
import { eventually, expect, NAMESPACES } from "./cast.ts";
import type { Creation, Kubectl } from "./kubectl.ts";
import { manifests } from "./manifests.ts";
import type { Images } from "./where/ground.ts";

/** How long a pod is tried, ms: as long as new replicas may take to get ready. */
const CREATION_MS = 60_000;

/** Plays Liqo where it does not run: all that it does is done by its identity. */
export class Liqo {
  readonly #kubectl: Kubectl;
  readonly #images: Images;

  /** Gives Liqo its identity and roles. */
  static async install(kubectl: Kubectl, images: Images): Promise<Liqo> {
    await kubectl.run(["apply", "-f", testdataPath("liqo_installation.yaml")]);
    await eventually("rights of Liqo", async () => {
      const { stdout } = await kubectl.output(["auth", "can-i", "create", "namespaces"], { who: LIQO });
      return stdout.startsWith("yes") || undefined;
    });
    return new Liqo(kubectl, images);
  }

  private constructor(kubectl: Kubectl, images: Images) {
    this.#kubectl = kubectl;
    this.#images = images;
  }

  /** The two namespaces of demo/pharma.yaml, and the consumer's rights in the one that it has offloaded. */
  async offload(): Promise<void> {
    for (const object of await this.#pharma("Namespace")) await this.#create(object);
    await this.#giveRights(NAMESPACES.pharma, "pharma");
  }

  /** A namespace of pharma's that claims to be another consumer's: Liqo does not check what pharma says it is. */
  async offloadSpoofed(name: string, claims: string, labels: Record<string, string>): Promise<void> {
    const offloaded = (await this.#pharma("Namespace")).at(-1)!;
    await this.#create({
      ...offloaded,
      metadata: { ...offloaded.metadata, name, labels: { "liqo.io/remote-cluster-id": claims, ...labels } },
    });
    await this.#giveRights(name, claims);
  }

  /** The Service that pharma's virtual kubelet reflects. */
  async service(): Promise<void> {
    for (const object of await this.#pharma("Service")) await this.#kubectl.create(object); // an administrator stands in for pharma's
  }

  /** Pharma's pod of demo/pharma.yaml, to be changed. */
  async pod(name = "pharma-app"): Promise<Pod> {
    const [pod] = await this.#pharma("Pod");
    pod!.metadata.name = name;
    return pod as unknown as Pod;
  }

  /** Creates a pod once; stores nothing if it is a dry run. */
  async tryPod(pod: Pod, options: { dryRun?: boolean } = {}): Promise<Creation> {
    return await this.#kubectl.create(pod, { who: LIQO, ...options });
  }

  /** Creates a pod as Liqo does: until it is not refused any more. */
  async createPod(pod: Pod): Promise<Pod> {
    let refusal: string | undefined;
    const created = await eventually("its creation", async () => {
      const answer = await this.tryPod(pod);
      refusal = answer.refusal;
      return answer.refusal === undefined ? answer.created : undefined;
    }, CREATION_MS).catch((cause) => {
      throw new Error(refusal, { cause });
    });
    return created as Pod;
  }

  /** Deletes a pod, and waits for its end. */
  async deletePod(name: string): Promise<void> {
    await this.#kubectl.run(["--namespace", NAMESPACES.pharma, "delete", "pod", name, "--grace-period=1"], {
      who: LIQO,
    });
  }

  async #pharma(kind: string) {
    return (await manifests("pharma", this.#images)).filter((object) => object.kind === kind);
  }

  async #create(object: object): Promise<void> {
    const { refusal } = await this.#kubectl.create(object, { who: LIQO });
    expect(refusal === undefined, refusal ?? "");
  }

  async #giveRights(namespace: string, clusterId: string): Promise<void> {
    const [, , binding] = await testdata<[unknown, unknown, RoleBinding]>("liqo_namespace.yaml");
    binding.metadata = { ...binding.metadata, namespace };
    binding.subjects![0]!.name = clusterId;
    await this.#create(binding);
  }
}
