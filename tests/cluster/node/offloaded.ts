import type { Container, Pod, PodSpec } from "kubernetes-types/core/v1.d.ts";
import { SPACES } from "../../../demo/manifests.ts";
import { until } from "../processes.ts";
import { TEST_IMAGES } from "./images.ts";
import { kubectl, podReady } from "./installation.ts";
import type { Node } from "./node.ts";

/** What differs from a pod of busybox and curl that runs a script. */
export interface OffloadedPodOptions {
  /** By default {@linkcode SPACES.pharma}. */
  namespace?: string;
  labels?: Record<string, string>;
  container?: Partial<Container>;
  spec?: Partial<PodSpec>;
}

/** A container with busybox, curl and socat, named `main`, that runs a shell script. */
export function toolsContainer(script: string, more: Partial<Container> = {}): Container {
  return { name: "main", image: TEST_IMAGES.tools, command: ["sh", "-c", script], ...more };
}

/** A pod as a consumer offloads it, of one container that runs a shell script. */
export function offloadedPod(name: string, script: string, options: OffloadedPodOptions = {}): Pod {
  const { namespace = SPACES.pharma, labels = {}, container, spec } = options;
  return {
    metadata: { name, namespace, labels: { app: name, "liqo.io/managed-by": "shadowpod", ...labels } },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      containers: [toolsContainer(script, container)],
      ...spec,
    },
  };
}

/** Whether the proxy is in a pod. */
export function isInjected(pod: Pod): boolean {
  const names = pod.spec!.initContainers?.map(({ name }) => name) ?? [];
  return names[0] === "data-space-init" && names[1] === "data-space-proxy";
}

/** Whom to ask from: the main container of a pod. */
export interface Place {
  namespace: string;
  pod: string;
}

/** What curl got: body and status; status 0 and the reason where there was no answer within 2 s. */
export async function curl(node: Node, from: Place, url: string, ...args: string[]): Promise<[number, string]> {
  const command = ["curl", "-sS", "-g", "--max-time", "2", "-w", "\\n%{http_code}", ...args, url];
  const { stdout, stderr } = await node.kubectl([
    "exec",
    "-n",
    from.namespace,
    from.pod,
    "-c",
    "main",
    "--",
    ...command,
  ]);
  const status = Number(stdout.slice(stdout.lastIndexOf("\n") + 1)) || 0;
  return [status, status === 0 ? stderr.trim() : stdout.slice(0, stdout.lastIndexOf("\n")).trim()];
}

/** Waits until a URL is answered with that status: rules follow objects with some delay. Returns the body. */
export async function answers(node: Node, from: Place, url: string, status = 200, ms = 15_000): Promise<string> {
  let last: [number, string] | undefined;
  return await until(async () => {
    last = await curl(node, from, url);
    return last[0] === status ? last[1] : undefined;
  }, { ms, what: `answer ${status}`, every: 100 }).catch((cause) => {
    throw new Error(`${cause.message} to ${from.pod} from ${url}, but ${last?.join(" ")}`, { cause });
  });
}

/** A ready pod that serves its name on port 8080, IPv4 and IPv6, and its Service of both. By the administrator. */
export async function deployServer(node: Node, namespace: string, name: string): Promise<Pod> {
  const script = `mkdir -p /tmp/www; echo ${name} > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www`;
  const pod = offloadedPod(name, script, {
    namespace,
    container: { readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 } },
  });
  await node.call(`/api/v1/namespaces/${namespace}/pods`, { body: pod });
  await node.call(`/api/v1/namespaces/${namespace}/services`, {
    body: {
      metadata: { name },
      spec: { ipFamilyPolicy: "PreferDualStack", selector: { app: name }, ports: [{ port: 8080 }] },
    },
  });
  return await podReady(node, namespace, name);
}

/** Process id, inside the node, of what a container runs. @throws {Error} if it does not run. */
export async function processOf(node: Node, at: Place & { container: string }): Promise<number> {
  const field = `{.status.initContainerStatuses[?(@.name=="${at.container}")].containerID}` +
    `{.status.containerStatuses[?(@.name=="${at.container}")].containerID}`;
  const id = (await kubectl(node, ["get", "pod", "-n", at.namespace, at.pod, `-o=jsonpath=${field}`]))
    .replace("containerd://", "");
  const script = `for p in /proc/[0-9]*; do grep -q ${id || "none"} $p/cgroup 2>/dev/null && echo \${p#/proc/}; done`;
  const { stdout } = await node.node("sh", "-c", script);
  const pid = Number(stdout.split("\n")[0]);
  if (!pid) throw new Error(`Cannot find the process of container ${at.container} of ${at.pod}: its id is "${id}"`);
  return pid;
}
