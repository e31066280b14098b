import { imageEnvironment, runtimeFlags } from "../../deploy/runtime_flags.ts";
import { MUTATE_PATH } from "../../lib/core/names.ts";
import { type Cluster, startCluster } from "../cluster/cluster.ts";
import type { ClusterOptions } from "../cluster/control_plane.ts";
import { type DataSpacer, startDataSpacer } from "../cluster/data_spacer.ts";
import { LIQO, Liqo, liqoPod } from "../cluster/liqo.ts";
import type { Replica } from "../cluster/replica.ts";
import { until } from "../cluster/processes.ts";
import { ROOT } from "../support/tree.ts";
import { flagsOf, runJson } from "./tool.ts";

/** A pod of this namespace is admitted from the start of every benchmark. */
export const NAMESPACE = "trial-pharma";

/** What the benchmarks start from: a cluster with Liqo's parts and Data Spacer, which has prepared one offloaded namespace. */
export interface Stage extends AsyncDisposable {
  cluster: Cluster;
  liqo: Liqo;
  dataSpacer: DataSpacer;
  /** Files of the benchmark; they go with the cluster. */
  folder: string;
  /** How a replica is started as it runs in the image, on a core of its own if asked for. */
  program(core?: number): { command: string[]; env: Record<string, string> };
}

/** Options of {@linkcode setStage}. */
export interface StageOptions extends ClusterOptions {
  /** Core to keep the first replica on. */
  core?: number;
}

/**
 * Starts it all. The program runs as in the image: bundled, with the same flags and variables, and without a code cache, which a
 * read-only image has no place for. What is missing is the base of compiled programs: it runs under `deno` itself.
 */
export async function setStage(options: StageOptions = {}): Promise<Stage> {
  const { core, ...clusterOptions } = options;
  const cluster = await startCluster(clusterOptions);
  try {
    const { folder } = cluster.processes;
    await bundle(`${folder}/main.js`);
    const permissions = runtimeFlags.image.map((flag) => flag.startsWith("--allow-read=") ? `${flag},${folder}` : flag);
    const deno = [Deno.execPath(), "run", "--quiet", "--no-code-cache", ...permissions, `${folder}/main.js`];
    const program = (core?: number) => ({
      command: core === undefined ? deno : ["taskset", "-c", `${core}`, ...deno],
      env: { ...imageEnvironment },
    });
    const liqo = await Liqo.install(cluster);
    await liqo.createTenantNamespace();
    const dataSpacer = await startDataSpacer(cluster, program(core));
    await liqo.createOffloadedNamespace(NAMESPACE);
    const answer = await liqo.createPod(await liqoPod(NAMESPACE), { dryRun: true, retryMs: 10_000 });
    if (!answer.created) throw new Error(`Cannot begin: no pod is admitted: ${answer.message}`);
    return { cluster, liqo, dataSpacer, folder, program, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function bundle(output: string): Promise<void> {
  const args = ["bundle", "--quiet", "--frozen", "--output", output, "main.ts"];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output();
  if (!success) throw new Error(`Cannot bundle the program: ${new TextDecoder().decode(stderr)}`);
}

/** Process id of a replica that runs. */
export async function pidOf(replica: Replica): Promise<number> {
  const pid = await replica.pid();
  if (pid === undefined) throw new Error(`Cannot measure ${replica.name}: it has ended`);
  return pid;
}

/** How to send reviews to a replica as the API server does; flags of the load generator. */
export async function reviewFlags(
  { cluster, folder }: Stage,
  replica: Replica,
  review: string,
): Promise<Record<string, string>> {
  await Deno.writeTextFile(`${folder}/review.json`, review);
  const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/data-spacer";
  const { webhooks: [webhook] } = await cluster.call<{ webhooks: [{ clientConfig: { caBundle: string } }] }>(path);
  await Deno.writeTextFile(`${folder}/webhook-ca.pem`, atob(webhook.clientConfig.caBundle));
  return {
    url: new URL(MUTATE_PATH, replica.webhook).href,
    ca: `${folder}/webhook-ca.pem`,
    "server-name": "data-spacer.data-spacer.svc",
    body: `${folder}/review.json`,
  };
}

/** The patch that Data Spacer answers to a review; base64. */
export async function ourPatch(stage: Stage, review: string, tool: string): Promise<string> {
  const flags = await reviewFlags(stage, stage.dataSpacer.replica, review);
  const [answer] = await runJson<{ response?: { patch?: string } }>([tool, "review", ...flagsOf(flags)]);
  if (answer?.response?.patch === undefined) throw new Error("Cannot begin: Data Spacer answers no patch");
  return answer.response.patch;
}

/** Headers by which the administrator acts as Liqo; NAME=VALUE. */
export const LIQO_HEADERS: string[] = [
  `impersonate-user=${LIQO.as}`,
  ...LIQO.asGroups!.map((group) => `impersonate-group=${group}`),
];

/** Names of offloaded namespaces of a benchmark. */
export function offloadedName(index: number): string {
  return `load-${`${index}`.padStart(5, "0")}-pharma`;
}

/** Requests that are made at the same time where only the result counts. */
const AT_ONCE = 16;

/** Does something for each number from 0 up to `count`, several at the same time. */
export async function forEachUpTo(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < count) await work(next++);
  }));
}

/**
 * Creates offloaded namespaces, with nobody there to see it: neither Data Spacer, which must have been stopped, nor the cluster's own
 * controllers, which would write as much again into each and are therefore ended here.
 */
export async function createNamespaces({ cluster }: Stage, count: number): Promise<void> {
  await cluster.processes.stop("controllers", "SIGTERM");
  await forEachUpTo(count, async (index) => {
    const name = offloadedName(index);
    const labels = { "liqo.io/remote-cluster-id": "pharma" };
    const annotations = {
      "liqo.io/managed-by-namespace-map": "liqo-tenant-pharma/hospital",
      "liqo.io/original-name": name.replace("-pharma", ""),
    };
    await cluster.call("/api/v1/namespaces", { body: { metadata: { name, labels, annotations } } });
  });
}

/** NetworkPolicies in the cluster: the second of the two objects that each offloaded namespace gets. */
export async function countPolicies(cluster: Cluster): Promise<number> {
  const path = "/apis/networking.k8s.io/v1/networkpolicies?limit=1";
  const { items, metadata } = await cluster.call<{ items: unknown[]; metadata: { remainingItemCount?: number } }>(path);
  return items.length + (metadata.remainingItemCount ?? 0);
}

/** Waits until there are so many NetworkPolicies. Looks rarely enough to cost nothing, often enough to tell the time. */
export async function policiesThere(cluster: Cluster, count: number, ms: number): Promise<void> {
  const look = async () => await countPolicies(cluster) >= count || undefined;
  await until(look, { ms, what: `${count} NetworkPolicies`, every: 20 });
}
