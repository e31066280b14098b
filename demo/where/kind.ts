import { cacheFolder } from "../../tests/cluster/cache.ts";
import { ENVOY } from "../../tests/net/tools.ts";
import { ROOT } from "../../tests/support/tree.ts";
import type { Run } from "../commands.ts";
import { Kubectl } from "../kubectl.ts";
import { type Ground, type Images, imagesAt, type Means, must } from "./ground.ts";

/** Name of the cluster. */
const CLUSTER = "data-spacer-demo";

/** What `docker build` makes, by name. */
const BUILDS: Record<Exclude<keyof Images, "proxy">, string[]> = {
  controller: [ROOT],
  init: ["--target", "init", ROOT],
  hospital: ["-f", `${ROOT}demo/hospital-app/Dockerfile`, `${ROOT}demo`],
  pharma: ["-f", `${ROOT}demo/pharma-app/Dockerfile`, `${ROOT}demo`],
};

/** The kubeconfig of the cluster: the user's own is left alone. */
export function kindKubeconfig(folder: string = cacheFolder()): string {
  return `${folder}/demo/kind.kubeconfig`;
}

/**
 * A new kind cluster, with our images built by their Dockerfiles and loaded. kind's own network enforces NetworkPolicies from v0.24 on.
 *
 * Written without a Docker to try it with: tests show the commands that it runs, and what becomes of the cluster where one of them fails; that
 * they do what is meant on a real kind has yet to be seen.
 *
 * @throws {Error} with what a command said; no cluster is left then, unless there was one of that name before.
 */
export async function kindGround(means: Means, kubeconfig: string = kindKubeconfig()): Promise<Ground> {
  const images = imagesAt("localhost/NAME:demo", `docker.io/envoyproxy/envoy:distroless-v${ENVOY.version}`);
  if (await kindIsThere(means.run)) {
    throw new Error(`Cannot make kind cluster "${CLUSTER}": there is one; --clean removes it`);
  }
  for (const [name, args] of Object.entries(BUILDS)) {
    const image = images[name as keyof Images];
    await must(means, ["docker", "build", "-t", image, ...args], `Building ${image}`);
  }
  await Deno.mkdir(kubeconfig.replace(/\/[^/]*$/, ""), { recursive: true });
  try {
    const create = ["kind", "create", "cluster", "--name", CLUSTER, "--kubeconfig", kubeconfig, "--wait", "180s"];
    await must(means, create, `Creating kind cluster ${CLUSTER}`);
    const { proxy, ...built } = images;
    const load = ["kind", "load", "docker-image", "--name", CLUSTER, ...Object.values(built)];
    await must(means, load, "Loading the images");
    // by the node itself: kind cannot always load an image of several platforms of which Docker has one
    await must(means, ["docker", "exec", `${CLUSTER}-control-plane`, "crictl", "pull", proxy], `Pulling ${proxy}`);
  } catch (error) {
    await deleteKind(means, kubeconfig);
    throw error;
  }
  return {
    title: `kind cluster ${CLUSTER}, made for it`,
    kubectl: new Kubectl(["kubectl", "--kubeconfig", kubeconfig]),
    images,
    shell: [`export KUBECONFIG=${kubeconfig}`],
    clean: "--clean",
    keep: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => deleteKind(means, kubeconfig),
  };
}

/** Whether the cluster is there; not where kind is not. */
export async function kindIsThere(run: Run): Promise<boolean> {
  const { code, stdout } = await run(["kind", "get", "clusters"]);
  return code === 0 && stdout.split(/\s+/).includes(CLUSTER);
}

/** Deletes the cluster, if it is there. */
export async function deleteKind(
  { run, screen }: Omit<Means, "signal">,
  kubeconfig: string = kindKubeconfig(),
): Promise<void> {
  const command = ["kind", "delete", "cluster", "--name", CLUSTER, "--kubeconfig", kubeconfig];
  await must({ run, screen }, command, `Deleting kind cluster ${CLUSTER}`);
}
