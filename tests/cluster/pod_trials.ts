import assert from "node:assert/strict";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { isInjected } from "../../lib/core/tenant_containers.ts";
import { type CreatePodOptions, Liqo, liqoPod } from "./liqo.ts";
import type { Cluster } from "./cluster.ts";

/** Pods that Liqo creates in offloaded namespaces, and what becomes of them. */
export class PodTrials {
  /** Plays Liqo. */
  readonly liqo: Liqo;

  private constructor(liqo: Liqo) {
    this.liqo = liqo;
  }

  /** Lets Liqo be there, and one consumer. */
  static async create(cluster: Cluster): Promise<PodTrials> {
    const liqo = await Liqo.install(cluster);
    await liqo.createTenantNamespace();
    return new PodTrials(liqo);
  }

  /** Makes an offloaded namespace with these labels besides; its name. */
  async offloaded(name: string, labels: Record<string, string> = {}): Promise<string> {
    await this.liqo.createOffloadedNamespace(name, { labels });
    return name;
  }

  /** The same, and waits until pods are admitted there. */
  async settled(name: string): Promise<string> {
    await this.offloaded(name);
    await this.admitted(await liqoPod(name, "settle"), { dryRun: true, retryMs: 10_000 });
    return name;
  }

  /** The pod as stored. By default refusals are followed by another try for 10 s, as Liqo does. */
  async admitted(pod: Pod, options: CreatePodOptions = { retryMs: 10_000 }): Promise<Pod> {
    const answer = await this.liqo.createPod(pod, options);
    assert.ok(answer.created, answer.created ? "" : answer.message);
    return answer.pod;
  }

  /** What the API server says to a pod that it must refuse. */
  async refused(pod: Pod): Promise<string> {
    const answer = await this.liqo.createPod(pod);
    assert.ok(!answer.created, "the pod was created");
    return answer.message;
  }
}

/** Our two containers in a pod, which must have them. */
export function oursIn(pod: Pod): [Container, Container] {
  assert.ok(isInjected(pod), "no proxy in the pod");
  const [init, proxy] = pod.spec!.initContainers!;
  return [init!, proxy!];
}
