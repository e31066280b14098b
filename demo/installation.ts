import { relative } from "node:path";
import { stringify } from "yaml";
import { ROOT } from "../tests/support/tree.ts";
import { NAMESPACES } from "./cast.ts";
import type { Kubectl } from "./kubectl.ts";
import type { Images } from "./where/ground.ts";

/** Installs Data Spacer as the README tells an operator: an overlay of deploy/base that names the images. */
export async function install(kubectl: Kubectl, images: Images): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "data-spacer-demo-" }));
  try {
    await Deno.writeTextFile(`${folder}/kustomization.yaml`, overlay(images, relative(folder, `${ROOT}deploy/base`)));
    await kubectl.run(["apply", "-k", folder]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Takes it away again, by the README's two lines; does not wait for the last pods. */
export async function uninstall(kubectl: Kubectl): Promise<void> {
  await kubectl.run(["delete", "-k", `${ROOT}deploy/base`, "--ignore-not-found", "--wait=false"]);
  const selector = "app.kubernetes.io/managed-by=data-spacer";
  await kubectl.run(["delete", "configmaps,networkpolicies", "--all-namespaces", "--selector", selector]);
}

/** Text of the overlay. */
export function overlay({ controller, init, proxy }: Images, base: string): string {
  const container = {
    name: "data-spacer",
    image: controller,
    env: [{ name: "INIT_IMAGE", value: init }, { name: "PROXY_IMAGE", value: proxy }],
  };
  const patch = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "data-spacer", namespace: NAMESPACES.product },
    spec: { template: { spec: { containers: [container] } } },
  };
  return stringify({
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    sortOptions: { order: "fifo" },
    resources: [base],
    patches: [{ patch: stringify(patch) }],
  });
}
