import type { Namespace } from "kubernetes-types/core/v1.d.ts";
import { NAMESPACES } from "../cast.ts";
import { Kubectl } from "../kubectl.ts";
import { uninstall } from "../installation.ts";
import type { Options } from "../options.ts";
import { type Ground, imagesAt, type Means } from "./ground.ts";

/** ConfigMap in namespace `default` that says: what is here by the story's names is the story's. */
const MARK = "data-spacer-demo";

/** Roles that the story makes where it plays Liqo, by the names that Liqo gives them. */
const LIQO_ROLES = ["liqo-controller-manager", "liqo-virtual-kubelet-remote"];

/**
 * A cluster that is there. Nobody else's things are touched: where a namespace has a name of the story, it is not told.
 *
 * @throws {Error} naming the namespace, or with what kubectl said.
 */
export async function contextGround(options: Options & { context: string }, means: Means): Promise<Ground> {
  const { context, images, proxyImage } = options;
  const kubectl = contextKubectl(context);
  means.screen.progress(`Images are taken to be pushed: ${images} and ${proxyImage}`);
  if (await marked(kubectl, context)) {
    throw new Error(`Cannot tell the story on "${context}": an earlier one was kept there; --clean removes it`);
  }
  const names: string[] = Object.values(NAMESPACES);
  const { items } = (await kubectl.get<{ items: Namespace[] }>("namespaces"))!;
  const taken = items.map(({ metadata }) => metadata!.name!).filter((name) => names.includes(name));
  const roles = await kubectl.get<{ items: unknown[] }>("clusterroles", ...LIQO_ROLES);
  if (roles !== undefined) {
    throw new Error(`Cannot tell the story on "${context}": it plays Liqo, and Liqo's own roles are there`);
  }
  if (taken.length > 0) {
    throw new Error(
      `Cannot tell the story on "${context}": it would make namespace ${taken.join(", ")}, which is there`,
    );
  }
  await kubectl.run(["--namespace=default", "create", "configmap", MARK]);
  return {
    title: `the cluster of context ${context}`,
    kubectl,
    images: imagesAt(images, proxyImage),
    shell: [`kubectl config use-context ${context}`],
    clean: `--context ${context} --clean`,
    keep: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => cleanContext(context, means),
  };
}

/** Removes all of the story, if it was told there. */
export async function cleanContext(context: string, { screen }: Means): Promise<void> {
  const kubectl = contextKubectl(context);
  if (!await marked(kubectl, context)) {
    screen.progress(`On "${context}" no story was told: nothing is removed`);
    return;
  }
  screen.progress(`Removing the story from "${context}"`);
  await uninstall(kubectl);
  await kubectl.run(["delete", "--ignore-not-found", "clusterrolebindings", "liqo-controller-manager"]);
  await kubectl.run(["delete", "--ignore-not-found", "clusterroles", ...LIQO_ROLES]);
  await kubectl.run(["delete", "namespaces", "--ignore-not-found", ...Object.values(NAMESPACES)]);
  await kubectl.run(["--namespace=default", "delete", "configmap", MARK]);
}

function contextKubectl(context: string): Kubectl {
  return new Kubectl(["kubectl", "--context", context]);
}

async function marked(kubectl: Kubectl, context: string): Promise<boolean> {
  try {
    return await kubectl.get("--namespace=default", "configmap", MARK) !== undefined;
  } catch (cause) {
    throw new Error(`Cannot ask the cluster of context "${context}": ${(cause as Error).message}`, { cause });
  }
}
