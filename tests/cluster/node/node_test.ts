import assert from "node:assert/strict";
import type { Node as NodeObject, Pod, Service } from "kubernetes-types/core/v1.d.ts";
import { until } from "../processes.ts";
import { IMAGES } from "./base_images.ts";
import { Node } from "./node.ts";
import { makeArchive } from "./oci_archive.ts";
import { missing } from "./packages.ts";
import { busybox, exec, get, serving } from "./pods.ts";

if (missing !== undefined) Deno.stderr.writeSync(new TextEncoder().encode(`tests/cluster/node: skipped, ${missing}\n`));
const node = missing === undefined ? await Node.start() : undefined as never;
if (missing === undefined) Deno.test.afterAll(() => node[Symbol.asyncDispose]());

const NAMESPACE = "trial";
const CORE = `/api/v1/namespaces/${NAMESPACE}`;
const CLIENT = { namespace: NAMESPACE, pod: "client" };

function test(name: string, body: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name, ignore: missing !== undefined, fn: body });
}

async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await node.kubectl(args);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function podAddresses(selector: string): Promise<string[]> {
  const { items: [pod] } = await node.call<{ items: Pod[] }>(`${CORE}/pods?labelSelector=${selector}`);
  return pod!.status!.podIPs!.map(({ ip }) => ip!);
}

/** Waits until a request of the client is answered so: rules follow objects with some delay. */
async function answers(expected: string, address: string, port: number): Promise<void> {
  await until(async () => {
    return await get(node, CLIENT, { address, port, seconds: 1 }) === expected ? true : undefined;
  }, { ms: 15_000, what: `answer "${expected}" of ${address}`, every: 100 });
}

test("Node.start() gives a node that is ready, in both address families", async () => {
  const { status, spec } = await node.call<NodeObject>(`/api/v1/nodes/${node.addresses.name}`);
  assert.equal(status!.nodeInfo!.kubeletVersion, node.binaries.release);
  assert.deepEqual(spec!.podCIDRs!.length, 2);
  assert.equal(spec!.taints, undefined);
  const addresses = status!.addresses!.filter(({ type }) => type === "InternalIP").map(({ address }) => address);
  assert.deepEqual(addresses, [node.addresses.node.v4, node.addresses.node.v6]);
});

test("a Deployment and a Pod become ready", async () => {
  await node.call("/api/v1/namespaces", { body: { metadata: { name: NAMESPACE } } });
  await node.serviceAccount(NAMESPACE);
  const labels = { app: "server" };
  await node.call(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments`, {
    body: {
      metadata: { name: "server" },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: serving("hello") },
      },
    },
  });
  await node.call(`${CORE}/services`, {
    body: {
      metadata: { name: "server" },
      spec: {
        type: "NodePort",
        ipFamilyPolicy: "RequireDualStack",
        selector: labels,
        ports: [{ port: 80, targetPort: 8080 }],
      },
    },
  });
  const spec = busybox("echo started; exec sleep 3600");
  await node.call(`${CORE}/pods`, { body: { metadata: { name: "client", labels: { app: "client" } }, spec } });
  await kubectl("rollout", "status", "-n", NAMESPACE, "deployment/server", "--timeout=60s");
  await kubectl("wait", "-n", NAMESPACE, "pod/client", "--for=condition=Ready", "--timeout=60s");
});

test("logs and exec work", async () => {
  assert.equal(await kubectl("logs", "-n", NAMESPACE, "client"), "started\n");
  assert.deepEqual(await exec(node, NAMESPACE, "client", "sh", "-c", "hostname; exit 3"), {
    code: 3,
    stdout: "client\n",
    stderr: "command terminated with exit code 3\n",
  });
});

test("Pods reach Pods and Services by IPv4 and IPv6, and Services by name", async (t) => {
  const pod = await podAddresses("app=server");
  const { spec } = await node.call<Service>(`${CORE}/services/server`);
  assert.equal(pod.length, 2);
  for (const address of pod) await t.step(`Pod ${address}`, () => answers("hello", address, 8080));
  for (const address of spec!.clusterIPs!) await t.step(`Service ${address}`, () => answers("hello", address, 80));
  await t.step("name of the Service", async () => {
    const { stdout } = await exec(node, NAMESPACE, "client", "nslookup", `server.${NAMESPACE}.svc.cluster.local`);
    for (const address of spec!.clusterIPs!) assert.ok(stdout.includes(address), stdout);
  });
});

test("the host reaches Pods, Services and published ports by IPv4 and IPv6", async (t) => {
  const [v4, v6] = await podAddresses("app=server");
  const { spec } = await node.call<Service>(`${CORE}/services/server`);
  const [service4, service6] = spec!.clusterIPs!;
  const { nodePort } = spec!.ports![0]!;
  const { node: at } = node.addresses;
  const places = [
    `${v4}:8080`,
    `[${v6}]:8080`,
    `${service4}`,
    `[${service6}]`,
    `${at.v4}:${nodePort}`,
    `[${at.v6}]:${nodePort}`,
  ];
  for (const place of places) {
    await t.step(place, async () => {
      const response = await fetch(`http://${place}/`, { signal: AbortSignal.timeout(5_000) });
      assert.equal((await response.text()).trim(), "hello");
    });
  }
});

test("a NetworkPolicy is in force, for IPv4 and IPv6, and gone with it", async () => {
  const policies = `/apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies`;
  const addresses = await podAddresses("app=server");
  const from = [{ podSelector: { matchLabels: { may: "pass" } } }];
  await node.call(policies, {
    body: {
      metadata: { name: "closed" },
      spec: { podSelector: { matchLabels: { app: "server" } }, policyTypes: ["Ingress"], ingress: [{ from }] },
    },
  });
  for (const address of addresses) await answers("", address, 8080);
  await kubectl("label", "-n", NAMESPACE, "pod/client", "may=pass");
  for (const address of addresses) await answers("hello", address, 8080);
  await kubectl("label", "-n", NAMESPACE, "pod/client", "may-");
  for (const address of addresses) await answers("", address, 8080);
  await node.call(`${policies}/closed`, { method: "DELETE" });
  for (const address of addresses) await answers("hello", address, 8080);
});

test("limits are in force: who takes too much memory is killed", async () => {
  const container = { resources: { limits: { memory: "32Mi" } } };
  const spec = busybox("exec tail /dev/zero", { container, pod: { restartPolicy: "Never" } });
  await node.call(`${CORE}/pods`, { body: { metadata: { name: "greedy" }, spec } });
  const ended = await until(async () => {
    const { status } = await node.call<Pod>(`${CORE}/pods/greedy`);
    return status?.containerStatuses?.[0]?.state?.terminated;
  }, { ms: 60_000, what: "end of the Pod", every: 200 });
  assert.equal(ended.reason, "OOMKilled");
});

test("Node.importImage() imports an archive, whose user and variables a Pod gets", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/root/bin`, { recursive: true });
    await Deno.copyFile("/bin/busybox", `${folder}/root/bin/busybox`);
    const ref = "localhost/made-here:1";
    const entrypoint = ["/bin/busybox", "sh", "-c"];
    const cmd = ['echo "$(busybox id -u) $COLOUR"'];
    const archive = `${folder}/made-here.tar`;
    const options = { entrypoint, cmd, user: "4711:4712", env: { COLOUR: "green" } };
    await makeArchive(`${folder}/root`, { ref, archive, ...options });
    await node.importImage(archive);
    await assert.rejects(node.importImage(`${folder}/absent.tar`), /Cannot import .*absent\.tar: /);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const containers = [{ name: "main", image: "localhost/made-here:1", imagePullPolicy: "Never" }];
  await node.call(`${CORE}/pods`, {
    body: { metadata: { name: "made-here" }, spec: { restartPolicy: "Never", containers } },
  });
  await kubectl("wait", "-n", NAMESPACE, "pod/made-here", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s");
  assert.equal(await kubectl("logs", "-n", NAMESPACE, "made-here"), "4711 green\n");
});

test("Node.node() runs commands inside the node", async () => {
  assert.deepEqual(await node.node("sh", "-c", "hostname; exit 4"), {
    code: 4,
    stdout: `${node.addresses.name}\n`,
    stderr: "",
  });
  const images = await node.node("ctr", "-a", "/run/node/containerd.sock", "-n", "k8s.io", "images", "list", "-q");
  for (const ref of Object.values(IMAGES)) assert.ok(images.stdout.includes(ref), images.stdout);
  assert.equal(await Deno.stat("/run/node").catch(() => "absent"), "absent");
});

test("Pods work on while the API server is gone, and a new one finds the cluster as it was", async () => {
  const [address] = await podAddresses("app=server");
  await node.killApiServer();
  await assert.rejects(fetch(node.server));
  const response = await fetch(`http://${address}:8080/`);
  assert.equal((await response.text()).trim(), "hello");
  await node.startApiServer();
  assert.equal(await kubectl("get", "-n", NAMESPACE, "pod/client", "-o", "jsonpath={.status.phase}"), "Running");
});

test("Node.restart() restarts a program", async () => {
  for (const component of ["kubelet", "felix", "proxy"] as const) {
    const before = await node.processes.pid(component);
    await node.restart(component);
    assert.notEqual(await node.processes.pid(component), before);
  }
  await kubectl("delete", "-n", NAMESPACE, "pod/made-here", "pod/greedy");
  const spec = busybox("exec sleep 3600");
  await node.call(`${CORE}/pods`, { body: { metadata: { name: "afterwards" }, spec } });
  await kubectl("wait", "-n", NAMESPACE, "pod/afterwards", "--for=condition=Ready", "--timeout=60s");
});
