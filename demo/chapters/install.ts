import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import type { Cast } from "../cast.ts";
import { eventually, NAMESPACES } from "../cast.ts";
import { install } from "../installation.ts";
import type { Kubectl } from "../kubectl.ts";
import { manifests } from "../manifests.ts";

/** Hospital's cluster, before anybody comes. */
export async function installing({ story, kubectl, images }: Cast): Promise<void> {
  story.chapter("Hospital installs Data Spacer, and has data");
  await story.step(
    "kubectl apply -k, of an overlay of deploy/base that names the images",
    "two replicas get ready, one leads",
    async () => {
      await install(kubectl, images);
      await rolledOut(kubectl, NAMESPACES.product, "data-spacer");
      const leader = await eventually("a leader", () => leaderOf(kubectl));
      return `2 of 2 are ready; ${leader} holds the Lease`;
    },
  );
  await story.step(
    "Hospital deploys hospital-app, in a namespace labelled data-space/netpol-allow=true, and restricted-app, in one that is not",
    "both get ready: they are no pods of a consumer, and nothing is added to them",
    async () => {
      for (const name of ["hospital", "restricted"] as const) await kubectl.apply(await manifests(name, images));
      await rolledOut(kubectl, NAMESPACES.hospital, "hospital-app");
      await rolledOut(kubectl, NAMESPACES.restricted, "restricted-app");
      const names = await kubectl.run([
        ...["--namespace", NAMESPACES.hospital, "get", "pods", "-o"],
        "jsonpath={.items[*].spec.initContainers[*].name}{.items[*].spec.containers[*].name}",
      ]);
      return `ready; containers of hospital-app: ${names}`;
    },
  );
}

/** Waits for a Deployment. */
export async function rolledOut(kubectl: Kubectl, namespace: string, name: string): Promise<void> {
  await kubectl.run(["--namespace", namespace, "rollout", "status", `deployment/${name}`, "--timeout=120s"]);
}

/** Pod of the replica that leads; undefined while none does. */
export async function leaderOf(kubectl: Kubectl): Promise<string | undefined> {
  const lease = await kubectl.get<Lease>("--namespace", NAMESPACES.product, "lease", "data-spacer");
  return lease?.spec?.holderIdentity?.replace(/_.*/, "") || undefined; // its uid follows
}
