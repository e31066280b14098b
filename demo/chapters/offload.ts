import type { ConfigMap, Pod } from "kubernetes-types/core/v1.d.ts";
import { isInjected } from "../../lib/core/tenant_containers.ts";
import type { Cast } from "../cast.ts";
import { eventually, expect, NAMESPACES } from "../cast.ts";
import type { Kubectl } from "../kubectl.ts";
import type { Liqo } from "../liqo.ts";

const SPACE = NAMESPACES.pharma;

/** The objects that are kept in an offloaded namespace, as kubectl names them. */
export const KEPT = {
  configuration: "configmap/data-space-envoy-config",
  policy: "networkpolicy/data-space-network-policy",
};

/** Pharma's namespace and its pod. */
export async function offloading({ story, kubectl, liqo }: Cast): Promise<void> {
  story.chapter("Pharma offloads a namespace and a pod");
  await story.step(
    `Liqo makes the tenant namespace ${NAMESPACES.tenant} and the offloaded namespace ${SPACE}`,
    "the offloaded one gets Envoy's ConfigMap and a default-deny NetworkPolicy; the tenant one is left alone",
    async () => {
      await liqo.offload();
      const files = await eventually(
        "the ConfigMap",
        async () => (await kept<ConfigMap>(kubectl, "configuration"))?.data,
      );
      await eventually("the NetworkPolicy", () => kept(kubectl, "policy"));
      const tenant = await kubectl.run(["--namespace", NAMESPACES.tenant, "get", "networkpolicies", "-o", "name"]);
      expect(tenant === "", `in ${NAMESPACES.tenant}: ${tenant}`);
      return `ConfigMap with ${Object.keys(files).join(", ")}; NetworkPolicy for all pods, both ways`;
    },
  );
  await story.step(
    "Liqo creates pharma's pod, which says nothing of security",
    "it gets the redirect rules first, the proxy second, and what keeps the proxy unavoidable",
    async () => {
      await liqo.service();
      const { spec } = await startPharma(kubectl, liqo);
      expect(isInjected({ spec: spec! }), "no proxy in the pod");
      const security = spec!.containers[0]!.securityContext;
      return [
        `init containers: ${spec!.initContainers!.map(({ name }) => name).join(", ")}; ready`,
        `pharma's container runs as ${security?.runAsUser}, capabilities dropped: ${security?.capabilities?.drop}`,
      ];
    },
  );
}

/** An object that is kept in pharma's namespace; undefined while it is not there. */
export async function kept<T>(
  kubectl: Kubectl,
  which: keyof typeof KEPT,
  namespace: string = SPACE,
): Promise<T | undefined> {
  return await kubectl.get<T>("--namespace", namespace, KEPT[which]);
}

/** Has Liqo create pharma's pod, and waits until it is ready. */
export async function startPharma(kubectl: Kubectl, liqo: Liqo): Promise<Pod> {
  const pod = await liqo.createPod(await liqo.pod());
  await kubectl.run(["--namespace", SPACE, "wait", "pod/pharma-app", "--for=condition=Ready", "--timeout=60s"]);
  return pod;
}
