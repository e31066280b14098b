import type { ConfigMap, Event, Pod } from "kubernetes-types/core/v1.d.ts";
import { isInjected } from "../lib/core/tenant_containers.ts";
import { type Cluster, startCluster } from "../tests/cluster/cluster.ts";
import { type DataSpacer, startDataSpacer } from "../tests/cluster/data_spacer.ts";
import { consumer, Liqo, liqoPod } from "../tests/cluster/liqo.ts";
import { Story } from "./story.ts";

const SPACE = "pharma-space-pharma";
const CONFIG = `/api/v1/namespaces/${SPACE}/configmaps/data-space-envoy-config`;
const POLICY = `/apis/networking.k8s.io/v1/namespaces/${SPACE}/networkpolicies/data-space-network-policy`;

/** Everybody of the story. */
interface Cast {
  cluster: Cluster;
  liqo: Liqo;
  hospital: DataSpacer;
}

/** The Hospital/Pharma story on a real API server. Returns how many expectations did not hold. */
async function tell(story: Story): Promise<number> {
  story.note("Starting etcd, kube-apiserver and its controllers; they are built first where they are not there yet.");
  await using cluster = await startCluster();
  const liqo = await Liqo.install(cluster);
  const cast = await install(story, cluster, liqo);
  if (cast === undefined) return 1;
  await using _hospital = cast.hospital;
  await offload(story, cast);
  await pods(story, cast);
  await tampering(story, cast);
  await labels(story, cast);
  await outage(story, cast);
  return story.failed;
}

async function install(story: Story, cluster: Cluster, liqo: Liqo): Promise<Cast | undefined> {
  story.chapter("Hospital installs Data Spacer");
  let hospital: DataSpacer | undefined;
  await story.step("kubectl apply -k deploy/base", "two replicas get ready, one of them leads", async () => {
    hospital = await startDataSpacer(cluster, { replicas: 2 });
    const leads = async () =>
      await Promise.all(hospital!.replicas.map((replica) => replica.metric("data_spacer_leader")));
    await eventually("a leader", async () => (await leads()).filter((leading) => leading === 1).length === 1);
    const ms = hospital.replicas.map((replica) => `${Math.round(replica.readyMs ?? 0)} ms`);
    return `ready ${ms.join(" and ")} after their start; one leads`;
  });
  await story.step(
    "Hospital makes hospital-space, and lets offloaded pods talk to it by label data-space/netpol-allow=true",
    "the namespace carries the label",
    async () => {
      await kubectl(cluster, "create", "namespace", "hospital-space");
      return await kubectl(cluster, "label", "namespace", "hospital-space", "data-space/netpol-allow=true");
    },
  );
  return hospital && { cluster, liqo, hospital };
}

async function offload(story: Story, { cluster, liqo }: Cast): Promise<void> {
  story.chapter("Pharma offloads a namespace");
  await story.step(
    `Liqo makes the tenant namespace liqo-tenant-pharma and the offloaded namespace ${SPACE}`,
    "the offloaded one gets Envoy's ConfigMap and a default-deny NetworkPolicy; the tenant one is left alone",
    async () => {
      await liqo.createTenantNamespace("pharma");
      await liqo.createOffloadedNamespace(SPACE, {}, false);
      await eventually("both objects", async () => await exists(cluster, CONFIG) && await exists(cluster, POLICY));
      const { body } = await cluster.request<ConfigMap>(CONFIG);
      const tenant = await kubectl(cluster, "-n", "liqo-tenant-pharma", "get", "networkpolicies", "-o", "name");
      expect(tenant === "", `in liqo-tenant-pharma: ${tenant}`);
      return `ConfigMap with ${Object.keys(body.data ?? {}).join(", ")}; NetworkPolicy for all pods, both ways`;
    },
  );
}

async function pods(story: Story, { cluster, liqo }: Cast): Promise<void> {
  story.chapter("Pharma's pods");
  await story.step(
    "Liqo creates pharma's pod, which says nothing of security",
    "it gets the redirect rules first, the proxy second, and what keeps the proxy unavoidable",
    async () => {
      await cluster.serviceAccount(SPACE);
      const answer = await liqo.createPod(await liqoPod(SPACE, "analytics"), { retryMs: 10_000 });
      expect(answer.created, answer.created ? "" : answer.message);
      const { spec } = answer.created ? answer.pod : {} as Pod;
      expect(isInjected({ spec: spec! }), "no proxy in the pod");
      const security = spec?.containers[0]?.securityContext;
      return [
        `init containers: ${spec?.initContainers?.map((container) => container.name).join(", ")}`,
        `pharma's container runs as ${security?.runAsUser}, capabilities dropped: ${security?.capabilities?.drop}`,
      ];
    },
  );
  await story.step("Pharma's pod guesses the proxy's user, and runs as it", "the proxy gets another", async () => {
    const pod = await liqoPod(SPACE, "guess");
    pod.spec!.securityContext = { runAsUser: 21_337 };
    const answer = await liqo.createPod(pod, { dryRun: true });
    expect(answer.created, answer.created ? "" : answer.message);
    const proxy = answer.created ? answer.pod.spec?.initContainers?.[1]?.securityContext?.runAsUser : undefined;
    expect(proxy !== 21_337, `the proxy runs as ${proxy} too`);
    return `pharma runs as 21337, the proxy as ${proxy}`;
  });
  const hostile: [string, (pod: Pod) => void][] = [
    ["runs as root", (pod) => pod.spec!.containers[0]!.securityContext = { runAsUser: 0 }],
    ["wants NET_ADMIN", (pod) => pod.spec!.containers[0]!.securityContext = { capabilities: { add: ["NET_ADMIN"] } }],
    ["brings a proxy of its own", (pod) => pod.spec!.initContainers = [{ name: "data-space-proxy", image: "evil:1" }]],
    [
      "mounts the proxy's volume",
      (pod) => pod.spec!.containers[0]!.volumeMounts!.push({ name: "data-space-run", mountPath: "/x" }),
    ],
  ];
  for (const [what, change] of hostile) {
    await story.step(
      `Pharma's pod ${what}`,
      "refused; the message says which field, and what would be right",
      async () => {
        const pod = await liqoPod(SPACE, "hostile");
        change(pod);
        const answer = await liqo.createPod(pod);
        expect(!answer.created, "the pod was created");
        return answer.created ? "" : answer.message;
      },
    );
  }
}

async function tampering(story: Story, { cluster }: Cast): Promise<void> {
  story.chapter("Pharma tampers");
  const pharma = consumer("pharma");
  const emptied = {
    method: "PATCH",
    contentType: "application/merge-patch+json",
    body: { data: { "envoy.yaml": "{}", more: "x" } },
  };
  await story.step(
    "Pharma, which may write ConfigMaps there, empties Envoy's configuration",
    "refused by the API server itself, whether or not a replica runs",
    async () => {
      const { status, body } = await cluster.request<{ message: string }>(CONFIG, { ...pharma, ...emptied });
      expect(status === 403, `HTTP ${status}`);
      return body.message;
    },
  );
  await story.step(
    "An administrator does so, who may",
    "repaired at once, and an Event in namespace default, where pharma cannot delete it",
    async () => {
      const before = (await cluster.request<ConfigMap>(CONFIG)).body.data;
      const { status } = await cluster.request(CONFIG, emptied);
      expect(status === 200, `HTTP ${status}`);
      const start = performance.now();
      await eventually("the repair", async () => {
        const { data } = (await cluster.request<ConfigMap>(CONFIG)).body;
        return JSON.stringify(data) === JSON.stringify(before);
      });
      const ms = Math.round(performance.now() - start);
      const event = await eventOf(cluster, "ObjectDrift");
      return [`repaired within ${ms} ms`, `Event ${event.reason}: ${event.message}`];
    },
  );
  const doors: [what: string, path: string, body?: unknown][] = [
    ["opens a shell in the proxy", "pods/analytics/exec?command=sh&stdout=true&container=data-space-proxy"],
    ["forwards a port into its pod, past the proxy", "pods/analytics/portforward?ports=8080"],
    ["publishes its pod on every node", "services", {
      metadata: { name: "open" },
      spec: { type: "NodePort", selector: { app: "analytics" }, ports: [{ port: 8080 }] },
    }],
  ];
  for (const [what, path, body] of doors) {
    await story.step(`Pharma ${what}`, "refused: Liqo gives it the right, the policies do not", async () => {
      const answer = await cluster.request<{ message: string }>(`/api/v1/namespaces/${SPACE}/${path}`, {
        ...pharma,
        method: "POST",
        body,
      });
      expect(answer.status === 403, `HTTP ${answer.status}`);
      return answer.body.message;
    });
  }
  await story.step("Pharma deletes the NetworkPolicy", "forbidden: Liqo gives it no right to", async () => {
    const { status } = await cluster.request(POLICY, { ...pharma, method: "DELETE" });
    expect(status === 403, `HTTP ${status}`);
    return "HTTP 403";
  });
  await story.step("An administrator deletes it", "back at once", async () => {
    const uid = async () => (await cluster.request<ConfigMap>(POLICY)).body.metadata?.uid;
    const before = await uid();
    await kubectl(cluster, "-n", SPACE, "delete", "networkpolicy", "data-space-network-policy");
    await eventually("a new one", async () => ![undefined, before].includes(await uid()));
    return "a new one is there";
  });
}

async function labels(story: Story, { cluster, liqo }: Cast): Promise<void> {
  story.chapter("Hospital's labels, and who may not set them");
  const label = (...args: string[]) => kubectl(cluster, "label", "namespace", SPACE, "--overwrite", ...args);
  await story.step("Hospital opts out: data-space/apply-netpol=false", "the NetworkPolicy goes", async () => {
    await label("data-space/apply-netpol=false");
    await eventually("its end", async () => !await exists(cluster, POLICY));
    return "it is gone";
  });
  await story.step("Hospital takes the label away", "the NetworkPolicy is back", async () => {
    await label("data-space/apply-netpol-");
    await eventually("its return", () => exists(cluster, POLICY));
    return "it is back";
  });
  await story.step(
    "Pharma has Liqo make a namespace under the name of another consumer, bank, and Hospital opts it out",
    "recognised by the tenant namespace it comes from: the strictest policy stays, with a Warning",
    async () => {
      await liqo.createOffloadedNamespace(
        "spoofed",
        { claims: "bank", labels: { "data-space/apply-netpol": "false" } },
        false,
      );
      await eventually("the NetworkPolicy", () => exists(cluster, POLICY.replace(SPACE, "spoofed")));
      const event = await eventOf(cluster, "ConsumerMismatch");
      return `Event ${event.reason}: ${event.message}`;
    },
  );
}

async function outage(story: Story, { cluster, liqo, hospital }: Cast): Promise<void> {
  story.chapter("Without Data Spacer");
  await story.step("The leader is killed with SIGKILL", "the other replica leads within 15 s", async () => {
    const leading = await Promise.all(hospital.replicas.map((replica) => replica.metric("data_spacer_leader")));
    const [leader, other] = leading[0] === 1 ? hospital.replicas : hospital.replicas.toReversed();
    const start = performance.now();
    await leader!.kill();
    await eventually("the next leader", async () => await other!.metric("data_spacer_leader") === 1, 15_000);
    return `it leads after ${((performance.now() - start) / 1_000).toFixed(1)} s`;
  });
  await story.step(
    "The other one is killed too, and pharma sends a pod",
    "refused: no pod gets through unguarded",
    async () => {
      await Promise.all(hospital.replicas.map((replica) => replica.kill()));
      const answer = await liqo.createPod(await liqoPod(SPACE, "late"));
      expect(!answer.created, "the pod was created");
      return answer.created ? "" : answer.message;
    },
  );
  await story.step("Pharma tries once more to empty Envoy's configuration", "refused all the same", async () => {
    const request = { ...consumer("pharma"), method: "PATCH", contentType: "application/merge-patch+json" };
    const { status } = await cluster.request(CONFIG, { ...request, body: { data: null } });
    expect(status === 403, `HTTP ${status}`);
    return `HTTP ${status}`;
  });
  await story.step(
    "kubectl delete -k deploy/base",
    "nothing of ours is left in the way: pods are created again",
    async () => {
      await hospital.uninstall();
      const answer = await liqo.createPod(await liqoPod(SPACE, "after"), { retryMs: 5_000 });
      expect(answer.created, answer.created ? "" : answer.message);
      return "the pod was created, without a proxy";
    },
  );
}

/** Fails a step with what was seen instead. */
function expect(held: boolean, saw: string): void {
  if (!held) throw new Error(saw);
}

/** Waits until something is so. @throws {Error} if it is not within `ms`. */
async function eventually(what: string, look: () => Promise<boolean>, ms = 10_000): Promise<void> {
  const end = performance.now() + ms;
  while (!await look()) {
    expect(performance.now() < end, `not within ${ms / 1_000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function exists(cluster: Cluster, path: string): Promise<boolean> {
  return (await cluster.request(path)).status === 200;
}

async function eventOf(cluster: Cluster, reason: string): Promise<Event> {
  let found: Event | undefined;
  await eventually(`an Event ${reason}`, async () => {
    const { items } = await cluster.call<{ items: Event[] }>("/api/v1/namespaces/default/events");
    return (found = items.find((event) => event.reason === reason)) !== undefined;
  });
  return found!;
}

async function kubectl(cluster: Cluster, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectl(args);
  expect(code === 0, stderr);
  return stdout.trim();
}

if (import.meta.main) {
  const encoder = new TextEncoder();
  const write = (text: string) => {
    for (let rest = encoder.encode(text); rest.length > 0;) rest = rest.subarray(Deno.stdout.writeSync(rest));
  };
  const story = new Story({ write, colour: Deno.stdout.isTerminal(), steps: 23 });
  const failed = await tell(story);
  write(
    failed === 0
      ? `\nAll ${story.told} expectations held.\n`
      : `\n${failed} of ${story.told} expectations did not hold.\n`,
  );
  Deno.exit(failed === 0 ? 0 : 1);
}
