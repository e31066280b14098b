import { relative } from "node:path";
import { kustomization } from "../tests/support/kustomization.ts";
import { ROOT } from "../tests/support/tree.ts";
import type { Kubectl } from "./kubectl.ts";
import type { Images } from "./where/ground.ts";

/** Installs Data Spacer as the README tells an operator: an overlay of deploy/base that names the images. */
export async function install(kubectl: Kubectl, images: Images): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "data-spacer-demo-" }));
  try {
    await Deno.writeTextFile(`${folder}/kustomization.yaml`, kustomization(relative(folder, `${ROOT}deploy`), images));
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
