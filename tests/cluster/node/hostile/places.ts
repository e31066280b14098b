import type { Container, Pod, PodSpec, Service } from "kubernetes-types/core/v1.d.ts";
import { SPACES } from "../../../../demo/manifests.ts";
import { labels } from "../../../../lib/core/names.ts";
import type { Output } from "../../cluster.ts";
import { consumer } from "../../liqo.ts";
import { until } from "../../processes.ts";
import { createPod, type Installation, podReady } from "../installation.ts";
import type { Node } from "../node.ts";
import { offloadedPod } from "../offloaded.ts";

/** A namespace that Data Spacer leaves alone: what an attempt comes to there shows that it is one. */
export const CONTROL = "free-pharma";

const ROOT_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE"];
const asRoot = (add: string[]): Partial<Container> => ({ securityContext: { runAsUser: 0, capabilities: { add } } });

interface Placed {
  namespace: string;
  container?: Partial<Container>;
  pod?: Partial<PodSpec>;
}

/** Pods of consumers, each with all that its profile allows. */
const OFFLOADED = {
  restricted: { namespace: SPACES.pharma },
  root: { namespace: "root-pharma", container: asRoot(ROOT_CAPABILITIES) },
  observed: { namespace: "observed-pharma", container: asRoot([...ROOT_CAPABILITIES, "SETUID", "SETGID"]) },
  // the uid that the proxy would have otherwise, and a group of the same range
  "proxy-uid": {
    namespace: SPACES.pharma,
    pod: { securityContext: { runAsUser: 21_337, runAsGroup: 21_337, supplementalGroups: [21_338] } },
  },
  neighbour: { namespace: SPACES.pharma },
  stranger: { namespace: "trial-bank" },
  control: { namespace: CONTROL, container: { securityContext: { privileged: true } } },
} satisfies Record<string, Placed>;

/** The provider's servers. */
const SERVERS = {
  hospital: { namespace: SPACES.hospital },
  "restricted-space": { namespace: SPACES.restricted },
} satisfies Record<string, Placed>;

/** Where attempts are made. */
export type Place = keyof typeof OFFLOADED | keyof typeof SERVERS;

/** Serves whoever comes: tells each by which port it came. What needs a privileged port fails where that is not allowed. */
const SERVE = `
serve() { socat "$@" SYSTEM:'echo peer $SOCAT_PEERPORT' 2>/dev/null & }
for port in 7100 53; do serve TCP6-LISTEN:$port,ipv6only=0,fork,reuseaddr; done
for port in 7300 443 53 5353; do serve UDP6-RECVFROM:$port,ipv6only=0,fork; done
mkdir -p /tmp/www/cgi-bin
printf '#!/bin/sh\\necho Content-Type: text/plain; echo; echo peer $REMOTE_PORT\\n' > /tmp/www/cgi-bin/peer
chmod 755 /tmp/www/cgi-bin/peer
httpd -p 8080 -h /tmp/www
exec sleep 86400`;

/** Pods of a hostile consumer, the provider's servers, and what else there is to attack. */
export class Places {
  readonly #node: Node;
  readonly #pods: Record<Place, Pod>;
  readonly #values: Record<string, string>;

  private constructor(node: Node, pods: Record<Place, Pod>, values: Record<string, string>) {
    this.#node = node;
    this.#pods = pods;
    this.#values = values;
  }

  /** Creates all of them on a node with Data Spacer; ready when the pods are. */
  static async prepare({ node, liqo }: Installation): Promise<Places> {
    const namespace = (name: string, own: Record<string, string> = {}) =>
      node.call("/api/v1/namespaces", { body: { metadata: { name, labels: own } } })
        .then(() => node.serviceAccount(name));
    await Promise.all([
      namespace(SPACES.hospital, { [labels.netpolAllow]: "true" }),
      namespace(SPACES.restricted),
      liqo.createOffloadedNamespace(SPACES.pharma),
      liqo.createOffloadedNamespace("root-pharma", { labels: { [labels.podProfile]: "root" } }),
      liqo.createOffloadedNamespace("observed-pharma", { labels: { [labels.podProfile]: "observed" } }),
      liqo.createOffloadedNamespace(CONTROL, {
        labels: { [labels.applyWebhook]: "false", [labels.applyNetpol]: "false" },
      }),
      liqo.createTenantNamespace("bank").then(() => liqo.createOffloadedNamespace("trial-bank", { consumer: "bank" })),
    ]);
    const names = [...Object.keys(OFFLOADED), ...Object.keys(SERVERS)] as Place[];
    const pods = await Promise.all(names.map(async (name): Promise<[Place, Pod]> => {
      const pod = podOf(name);
      const { namespace } = placed(name);
      if (name in OFFLOADED) await createPod(liqo, pod, 30_000);
      else await node.call(`/api/v1/namespaces/${namespace}/pods`, { body: pod });
      return [name, await podReady(node, namespace, name)];
    }));
    const byName = Object.fromEntries(pods) as Record<Place, Pod>;
    return new Places(node, byName, { ...await publish(node), ...await others(node, byName), ...addresses(byName) });
  }

  /** A pod as it was when it got ready. */
  pod(place: Place): Pod {
    return this.#pods[place];
  }

  /** Addresses and the like for the names in braces; `me` is the pod that is attacked or attacks, in turn with a control. */
  values(from: Place, me: Place = isServer(from) ? "restricted" : from): Record<string, string> {
    const [v4, v6] = addressesOf(this.#pods[me]);
    return { ...this.#values, me: v4!, me6: v6!, "proxy-uid": proxyUid(this.#pods[from]) };
  }

  /** Runs a shell command in a pod, as who may do so: the consumer in its own, the provider in its servers. */
  async run(place: Place, command: string, seconds = 4): Promise<Output> {
    const args = ["exec", "-n", placed(place).namespace, place, "-c", "main", "--"];
    const kubeconfig = isServer(place) ? undefined : await this.consumer(place === "stranger" ? "bank" : "pharma");
    return await this.#node.kubectl([...args, "timeout", `${seconds}`, "sh", "-c", command], {
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
    });
  }

  /** Kubeconfig with the certificate that Liqo gives a consumer. */
  async consumer(clusterId = "pharma"): Promise<string> {
    const { as, asGroups } = consumer(clusterId);
    return await this.#node.kubeconfig({
      name: as!,
      groups: asGroups!.filter((group) => !group.startsWith("system:")),
    });
  }

  /** Name of a pod's device on the node. */
  async device(place: Place): Promise<string> {
    const { stdout } = await this.#node.node("ip", "route", "get", addressesOf(this.#pods[place])[0]!);
    const device = /dev (\S+)/.exec(stdout)?.[1];
    if (device === undefined) throw new Error(`Cannot watch pod ${place}: no route, but "${stdout}"`);
    return device;
  }

  /** Namespace of a place. */
  namespace(place: Place): string {
    return placed(place).namespace;
  }
}

/** Whether a place is the provider's. */
export function isServer(place: Place): boolean {
  return place in SERVERS;
}

function placed(place: Place): Placed {
  return { ...OFFLOADED, ...SERVERS }[place];
}

/** As Liqo, or for the servers the provider, creates it. */
function podOf(name: Place): Pod {
  const { namespace, container, pod } = placed(name);
  const spec = { terminationGracePeriodSeconds: 0, ...pod };
  return offloadedPod(name, SERVE, { namespace, spec, ...(container && { container }) });
}

function addressesOf(pod: Pod): string[] {
  return pod.status!.podIPs!.map(({ ip }) => ip!);
}

function addresses(pods: Record<Place, Pod>): Record<string, string> {
  const values: Record<string, string> = {};
  for (const place of ["hospital", "restricted-space", "neighbour", "stranger"] as const) {
    const name = place.replace("-space", "");
    [values[name], values[`${name}6`]] = addressesOf(pods[place]) as [string, string];
  }
  values["hospital-hex"] = values.hospital!.split(".").map((part) => Number(part).toString(16).padStart(2, "0")).join(
    "",
  );
  values["hospital6-hex"] = hex6(values.hospital6!);
  return values;
}

/** An IPv6 address as 32 hexadecimal digits. */
function hex6(address: string): string {
  const [head, tail] = address.split("::").map((half) => half.split(":").map((part) => part.padStart(4, "0")).join(""));
  return tail === undefined ? head! : head!.padEnd(32 - tail.length, "0") + tail;
}

/** uid of the proxy in a pod; where there is none, the first one that it could have. */
function proxyUid(pod: Pod): string {
  return `${pod.spec!.initContainers?.[1]?.securityContext?.runAsUser ?? 21_337}`;
}

/** The provider publishes its servers on the node, for its own use. */
async function publish(node: Node): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const [name, { namespace }] of Object.entries(SERVERS)) {
    const { spec } = await node.call<Service>(`/api/v1/namespaces/${namespace}/services`, {
      body: {
        metadata: { name: "server" },
        spec: { type: "NodePort", selector: { app: name }, ports: [{ port: 7100 }] },
      },
    });
    const key = name.replace("-space", "");
    values[`${key}-service`] = spec!.clusterIP!;
    const { nodePort } = spec!.ports![0]!;
    values[`${key}-nodeport`] = `${nodePort}`;
    await answering(spec!.clusterIP!, 7100);
    await answering(node.addresses.node.v4, nodePort!);
  }
  return values;
}

/** Waits until kube-proxy has heard of a Service, which takes it a second. */
async function answering(hostname: string, port: number): Promise<void> {
  const connect = async () => {
    (await Deno.connect({ hostname, port, signal: AbortSignal.timeout(1_000) })).close();
    return true;
  };
  await until(() => connect().catch(() => undefined), {
    ms: 20_000,
    what: `answer of ${hostname}:${port}`,
    every: 100,
  });
}

/** The cluster's own addresses, and a Service of the consumer's whose endpoints, as Liqo makes them for it, are a forbidden pod's. */
async function others(node: Node, pods: Record<Place, Pod>): Promise<Record<string, string>> {
  const { addresses: at } = node;
  const core = `/api/v1/namespaces/${SPACES.pharma}`;
  const service = await node.call<Service>(`${core}/services`, {
    ...consumer(),
    body: { metadata: { name: "lure" }, spec: { ports: [{ port: 7100 }] } },
  });
  await node.call(`/apis/discovery.k8s.io/v1/namespaces/${SPACES.pharma}/endpointslices`, {
    body: {
      metadata: { name: "lure", labels: { "kubernetes.io/service-name": "lure" } },
      addressType: "IPv4",
      ports: [{ name: "", port: 7100 }],
      endpoints: [{ addresses: [addressesOf(pods["restricted-space"])[0]], conditions: { ready: true } }],
    },
  });
  await answering(service.spec!.clusterIP!, 7100);
  const dns = await node.call<{ items: Pod[] }>("/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app=kube-dns");
  return {
    "lure-service": service.spec!.clusterIP!,
    "dns-pod": dns.items[0]!.status!.podIP!,
    dns: at.dns,
    api: at.kubernetes.v4,
    node: at.node.v4,
    outside: at.host.v4,
  };
}
