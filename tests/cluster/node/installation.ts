import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { manifests, SPACES } from "../../../demo/manifests.ts";
import { type AccessRecord, readRecord } from "../../support/access_record.ts";
import { kustomization, type OverlayOptions, type ProductImages } from "../../support/kustomization.ts";
import { ROOT } from "../../support/tree.ts";
import type { KubectlOptions } from "../cluster.ts";
import { consumer, Liqo } from "../liqo.ts";
import { overlay } from "../overlay.ts";
import { until } from "../processes.ts";
import { buildImages, TEST_IMAGES } from "./images.ts";
import { Node, type NodeOptions } from "./node.ts";

/** What differs from `deploy/base` with only its images set, to those built here. */
export interface InstallOptions extends OverlayOptions {
  /** Other images. */
  images?: Partial<ProductImages>;
}

/** Data Spacer on a node, and what to play the story with. */
export interface Installation extends AsyncDisposable {
  node: Node;
  liqo: Liqo;
  /** Kustomization that is applied. */
  folder: string;
}

/** A node that has all our images. */
export async function startNodeWithImages(options: NodeOptions = {}): Promise<Node> {
  const images = await buildImages(options);
  return await Node.start({ ...options, images: [...images, ...options.images ?? []] });
}

/** A node with Data Spacer ready on it, and Liqo's identities. Nothing is deployed yet. */
export async function startInstallation(
  options: NodeOptions & { install?: InstallOptions } = {},
): Promise<Installation> {
  const node = await startNodeWithImages(options);
  try {
    const [liqo, folder] = await Promise.all([playLiqo(node), install(node, options.install)]);
    return { node, liqo, folder, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() };
  } catch (error) {
    await node[Symbol.asyncDispose]();
    throw error;
  }
}

/** Liqo's identities and roles, and the tenant namespace of consumer `pharma`. */
export async function playLiqo(node: Node): Promise<Liqo> {
  const liqo = await Liqo.install(node);
  await liqo.createTenantNamespace("pharma");
  return liqo;
}

/**
 * Installs as the README tells an operator: `kubectl apply -k` of an overlay that names the images. Ready when all replicas are.
 *
 * @returns folder of the overlay: deleting it uninstalls.
 * @throws {Error} with what kubectl said, or with what keeps the replicas from being ready.
 */
export async function install(node: Node, options: InstallOptions = {}): Promise<string> {
  const folder = await overlay(node, overlayText(options));
  await apply(node, folder);
  return folder;
}

/** Applies a kustomization of ours and waits until the replicas that it wants are ready, and no others are left. */
export async function apply(node: Node, folder: string): Promise<void> {
  await kubectl(node, ["apply", "-k", folder]);
  const rollout = ["rollout", "status", "--namespace=data-spacer", "deployment/data-spacer", "--timeout=90s"];
  await kubectl(node, rollout).catch(async (cause) => {
    const { stdout } = await node.kubectl(["get", "pods,events", "--namespace=data-spacer"]);
    throw new Error(`Cannot install Data Spacer: ${cause.message}\n${stdout}`, { cause });
  });
}

/** Deletes what a kustomization of ours holds, and then what we kept in offloaded namespaces: the README's two lines. */
export async function uninstall(node: Node, folder: string): Promise<void> {
  await kubectl(node, ["delete", "-k", folder]);
  const selector = "app.kubernetes.io/managed-by=data-spacer";
  await kubectl(node, ["delete", "configmaps,networkpolicies", "--all-namespaces", `--selector=${selector}`]);
}

/** Text of the kustomization, for {@linkcode overlay}. */
export function overlayText({ images, ...options }: InstallOptions = {}): string {
  return kustomization("../deploy", { ...TEST_IMAGES, ...images }, options);
}

/** The provider's data, for offloaded pods to read. */
export async function deployHospital(node: Node): Promise<void> {
  await kubectl(node, ["apply", "-f", `${ROOT}demo/hospital.yaml`]);
  await kubectl(node, ["rollout", "status", "-n", SPACES.hospital, "deployment/hospital-app", "--timeout=60s"]);
}

/** The provider's data that no offloaded pod may reach. */
export async function deployRestricted(node: Node): Promise<void> {
  await kubectl(node, ["apply", "-f", `${ROOT}demo/restricted.yaml`]);
  await kubectl(node, ["rollout", "status", "-n", SPACES.restricted, "deployment/restricted-app", "--timeout=60s"]);
}

/** The consumer's namespace, Service and Pod of `demo/pharma.yaml`, each made by the identity that makes it with Liqo. Waits for the Pod. */
export async function deployPharma(node: Node, liqo: Liqo): Promise<void> {
  await liqo.createOffloadedNamespace(SPACES.pharma);
  for (const object of await manifests("pharma", TEST_IMAGES)) {
    if (object.kind === "Service") {
      await node.call(`/api/v1/namespaces/${SPACES.pharma}/services`, { ...consumer("pharma"), body: object });
    } else if (object.kind === "Pod") await createPod(liqo, object as object as Pod);
  }
  await podReady(node, SPACES.pharma, "pharma-app");
}

/** Creates a pod as Liqo does, with its retries: until our objects are in the namespace it is refused. @throws {Error} with the refusal. */
export async function createPod(liqo: Liqo, pod: Pod, retryMs = 15_000): Promise<Pod> {
  const answer = await liqo.createPod(pod, { retryMs });
  if (!answer.created) throw new Error(`Cannot create pod ${pod.metadata!.name}: ${answer.message}`);
  return answer.pod;
}

/** kubectl's standard output. @throws {Error} with what it said, if it failed. */
export async function kubectl(node: Node, args: string[], options: KubectlOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await node.kubectl(args, options);
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

/** Waits until a pod is ready. @throws {Error} with its containers' states. */
export async function podReady(node: Node, namespace: string, name: string, ms = 60_000): Promise<Pod> {
  let last: Pod | undefined;
  return await until(async () => {
    const { status, body } = await node.request<Pod>(`/api/v1/namespaces/${namespace}/pods/${name}`);
    last = status === 200 ? body : undefined;
    return last?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True")
      ? last
      : undefined;
  }, { ms, what: `ready pod ${namespace}/${name}`, every: 50 }).catch((cause) => {
    const { phase, containerStatuses, initContainerStatuses } = last?.status ?? {};
    const states = [...initContainerStatuses ?? [], ...containerStatuses ?? []]
      .map(({ name, state, ready }) => `${name}: ${ready ? "ready" : JSON.stringify(state)}`);
    throw new Error(`${cause.message}: ${phase ?? "absent"}, ${states.join("; ")}`, { cause });
  });
}

/** What the proxy of a pod has recorded so far; a record comes up to 1 s after what it tells of. */
export async function accessLog(node: Node, namespace: string, pod: string): Promise<AccessRecord[]> {
  const text = await kubectl(node, ["logs", "-n", namespace, pod, "-c", "data-space-proxy"]);
  return text.split("\n").map(readRecord).filter((record) => record !== undefined);
}

/** Waits for a record of the access log. */
export async function recorded(
  node: Node,
  pod: { namespace: string; pod: string },
  matches: (record: AccessRecord) => boolean,
): Promise<AccessRecord> {
  return await until(async () => (await accessLog(node, pod.namespace, pod.pod)).find(matches), {
    ms: 10_000,
    what: `such a record in the access log of ${pod.namespace}/${pod.pod}`,
    every: 200,
  });
}
