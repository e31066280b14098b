import assert from "node:assert/strict";
import type { Container, Event, Pod, Service } from "kubernetes-types/core/v1.d.ts";
import { SPACES } from "../../../demo/manifests.ts";
import { until } from "../processes.ts";
import { TEST_IMAGES } from "./images.ts";
import {
  accessLog,
  createPod,
  deployHospital,
  deployRestricted,
  type Installation,
  kubectl,
  podReady,
  recorded,
  startInstallation,
} from "./installation.ts";
import {
  answers,
  curl,
  deployServer,
  isInjected,
  offloadedPod,
  type Place,
  processOf,
  toolsContainer,
} from "./offloaded.ts";
import { missing } from "./packages.ts";

// What consumers run: the proxy is in their way as little as can be, and nothing passes without it.

const installation = missing === undefined ? await startInstallation() : undefined as never as Installation;
const { node, liqo } = installation ?? {};
if (missing === undefined) Deno.test.afterAll(() => node[Symbol.asyncDispose]());
const namespace = SPACES.pharma;
const PODS = `/api/v1/namespaces/${namespace}/pods`;
const SERVING = "mkdir /tmp/www; echo offloaded > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www";
const PATIENTS = "http://hospital-app.hospital-space:8080/patients";

function test(name: string, body: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name, ignore: missing !== undefined, fn: body });
}

if (missing === undefined) {
  await Promise.all([deployHospital(node), deployRestricted(node), liqo.createOffloadedNamespace(namespace)]);
  await createPod(liqo, offloadedPod("client", SERVING));
  await deployServer(node, SPACES.hospital, "server");
  await deployServer(node, SPACES.restricted, "closed");
  await podReady(node, namespace, "client");
}
const CLIENT = { namespace, pod: "client" };

function apply(object: unknown): Promise<string> {
  return kubectl(node, ["apply", "-f", "-"], { stdin: JSON.stringify(object) });
}

async function podsOf(selector: string): Promise<Pod[]> {
  return (await node.call<{ items: Pod[] }>(`${PODS}?labelSelector=${selector}`)).items;
}

test("a Job with the proxy completes, and what it did is recorded", async () => {
  await apply({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: "analysis", namespace },
    spec: {
      backoffLimit: 0,
      template: {
        metadata: { labels: { app: "analysis" } },
        spec: { restartPolicy: "Never", containers: [toolsContainer(`exec curl -sSf ${PATIENTS}`)] },
      },
    },
  });
  await kubectl(node, ["wait", "-n", namespace, "job/analysis", "--for=condition=Complete", "--timeout=60s"]);
  const [pod] = await podsOf("app=analysis");
  assert.ok(isInjected(pod!));
  assert.equal(pod!.status!.phase, "Succeeded");
  const name = pod!.metadata!.name!;
  assert.match(await kubectl(node, ["logs", "-n", namespace, name]), /Ada Quince/);
  const records = await accessLog(node, namespace, name);
  assert.deepEqual(records.map(({ host, path, status, consumer }) => [host, path, status, consumer]), [
    ["hospital-app.hospital-space:8080", "/patients", 200, "pharma"],
  ]);
});

test("a Deployment rolls: each new pod has the proxy, and answers through it", async () => {
  const script = "mkdir -p /tmp/www; echo $VERSION > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www";
  const deployment = (version: string) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "rolling", namespace },
    spec: {
      replicas: 2,
      strategy: { rollingUpdate: { maxUnavailable: 0 } },
      selector: { matchLabels: { app: "rolling" } },
      template: {
        metadata: { labels: { app: "rolling" } },
        spec: {
          terminationGracePeriodSeconds: 2,
          containers: [
            toolsContainer(script, {
              env: [{ name: "VERSION", value: version }],
              readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
            }),
          ],
        },
      },
    },
  });
  await apply({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "rolling", namespace },
    spec: { selector: { app: "rolling" }, ports: [{ port: 8080 }] },
  });
  for (const version of ["one", "two"]) {
    await apply(deployment(version));
    await kubectl(node, ["rollout", "status", "-n", namespace, "deployment/rolling", "--timeout=60s"]);
    for (const pod of await podsOf("app=rolling")) assert.ok(isInjected(pod), pod.metadata!.name);
    const from = { namespace: SPACES.hospital, pod: "server" };
    await until(async () => {
      return (await curl(node, from, `http://rolling.${namespace}:8080/`))[1] === version || undefined;
    }, { ms: 15_000, what: `answer of version ${version}`, every: 200 });
  }
  await kubectl(node, ["delete", "-n", namespace, "deployment/rolling", "service/rolling"]);
});

test("a consumer's init containers have their network, through the proxy, and no more of it", async () => {
  const script = `curl -sSf ${PATIENTS} > /shared/patients
    curl -sS --max-time 2 http://restricted-app.restricted-space:8080/patients > /shared/restricted && exit 1; exit 0`;
  const mount = { volumeMounts: [{ name: "shared", mountPath: "/shared" }] };
  const pod = offloadedPod("prepared", "cat /shared/*; echo; exec sleep 3600", { container: mount });
  pod.spec!.initContainers = [toolsContainer(script, { name: "prepare", ...mount })];
  pod.spec!.volumes = [{ name: "shared", emptyDir: {} }];
  await createPod(liqo, pod);
  await podReady(node, namespace, "prepared");
  const seen = await until(async () => {
    return await kubectl(node, ["logs", "-n", namespace, "prepared", "-c", "main"]) || undefined;
  }, { ms: 5_000, what: "output", every: 100 });
  assert.equal(seen.match(/Ada Quince/g)?.length, 1, seen); // of the permitted ones, not of the others
  const at = { namespace, pod: "prepared" };
  await recorded(node, at, ({ host, status }) => host === "hospital-app.hospital-space:8080" && status === 200);
  await recorded(node, at, ({ host, flags }) => host === "restricted-app.restricted-space:8080" && flags !== "-");
});

/** Serves gRPC's health protocol: always `SERVING`. */
const GRPC_HEALTH = `
  import http2 from "node:http2";
  import { Buffer } from "node:buffer";
  http2.createServer().on("stream", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
  }).listen(9090, "0.0.0.0");`;

test("probes of the kubelet work, all four kinds, and those by HTTP do not fill the log", async () => {
  const often = { periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 30 };
  const web =
    "mkdir -p /tmp/www; echo ok > /tmp/www/index.html; httpd -p 8080 -h /tmp/www; touch /tmp/up; exec sleep 3600";
  const pod = offloadedPod("probed", web, {
    container: {
      startupProbe: { exec: { command: ["test", "-e", "/tmp/up"] }, ...often },
      livenessProbe: { httpGet: { path: "/?live", port: 8080 }, ...often },
      readinessProbe: { httpGet: { path: "/", port: 8080 }, ...often },
    },
  });
  pod.spec!.containers.push(
    toolsContainer("exec socat TCP-LISTEN:7070,fork,reuseaddr EXEC:cat", {
      name: "tcp",
      startupProbe: { tcpSocket: { port: 7070 }, ...often },
      readinessProbe: { tcpSocket: { port: 7070 }, ...often, periodSeconds: 30 },
    }),
    {
      name: "grpc",
      image: TEST_IMAGES.hospital,
      command: ["deno", "eval", GRPC_HEALTH],
      env: [{ name: "DENO_DIR", value: "/tmp/deno" }, { name: "HOME", value: "/tmp" }],
      startupProbe: { grpc: { port: 9090 }, ...often },
      readinessProbe: { grpc: { port: 9090 }, ...often, periodSeconds: 30 },
    } as Container, // the types know no grpc probes
  );
  await createPod(liqo, pod);
  await podReady(node, namespace, "probed");
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  const records = await accessLog(node, namespace, "probed");
  const http = records.filter(({ destination }) => destination?.endsWith(":8080"));
  assert.deepEqual(http, []);
  const { containerStatuses } = (await node.call<Pod>(`${PODS}/probed`)).status!;
  assert.deepEqual(containerStatuses!.map(({ restartCount }) => restartCount), [0, 0, 0]);
  // what does not come from the node is recorded, be it the same path
  await answers(node, { namespace: SPACES.hospital, pod: "server" }, `http://${await podAddress("probed")}:8080/`);
  await recorded(node, { namespace, pod: "probed" }, ({ path, direction }) => path === "/" && direction === "inbound");
  await kubectl(node, ["delete", "-n", namespace, "pod/probed", "--wait=false"]);
});

async function podAddress(name: string): Promise<string> {
  return (await node.call<Pod>(`${PODS}/${name}`)).status!.podIP!;
}

test("a tcpSocket probe fails while nobody listens, though the proxy does, and holds as soon as somebody does", async () => {
  const script = "while [ ! -e /tmp/open ]; do sleep 0.1; done; exec socat TCP-LISTEN:7070,fork,reuseaddr EXEC:cat";
  const readinessProbe = { tcpSocket: { port: 7070 }, periodSeconds: 1 };
  await createPod(liqo, offloadedPod("late", script, { container: { readinessProbe } }));
  const event = await until(async () => {
    const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name%3Dlate,reason%3DUnhealthy`;
    const { items } = await node.call<{ items: Event[] }>(path);
    return items.find(({ message, count = 1 }) => message!.includes(":7070") && count >= 2);
  }, { ms: 30_000, what: "failed probes", every: 100 });
  assert.match(event.message!, /connection refused/);
  const ready = (await node.call<Pod>(`${PODS}/late`)).status!.containerStatuses![0]!.ready;
  assert.equal(ready, false);
  await kubectl(node, ["exec", "-n", namespace, "late", "-c", "main", "--", "touch", "/tmp/open"]);
  await podReady(node, namespace, "late", 10_000);
  await kubectl(node, ["delete", "-n", namespace, "pod/late", "--wait=false"]);
});

test("both address families pass the proxy, to Pods and Services and from them, and both are held by the NetworkPolicy", async (t) => {
  const addresses = async (space: string, name: string) => {
    const { status } = await node.call<Pod>(`/api/v1/namespaces/${space}/pods/${name}`);
    const { spec } = await node.call<Service>(`/api/v1/namespaces/${space}/services/${name}`);
    return [...status!.podIPs!.map(({ ip }) => ip!), ...spec!.clusterIPs!].map((ip) =>
      ip.includes(":") ? `[${ip}]` : ip
    );
  };
  const open = await addresses(SPACES.hospital, "server");
  assert.equal(open.filter((address) => address.startsWith("[")).length, 2);
  for (const address of open) {
    await t.step(`to ${address}`, async () => {
      assert.equal(await answers(node, CLIENT, `http://${address}:8080/`), "server");
      await recorded(node, CLIENT, (record) => record.destination === `${address}:8080` && record.status === 200);
    });
  }
  const closed = (await addresses(SPACES.restricted, "closed")).map(async (address) => {
    return { address, status: (await curl(node, CLIENT, `http://${address}:8080/`))[0] };
  });
  for (const { address, status } of await Promise.all(closed)) {
    await t.step(`not to ${address}`, () => assert.ok([0, 503].includes(status), `status ${status}`));
  }
  await createPod(
    liqo,
    offloadedPod("both", SERVING),
  );
  const { status } = await podReady(node, namespace, "both");
  for (const { ip } of status!.podIPs!) {
    const address = ip!.includes(":") ? `[${ip}]` : ip;
    await t.step(`from a permitted Pod to ${address}`, async () => {
      const from = { namespace: SPACES.hospital, pod: "server" };
      assert.equal(await answers(node, from, `http://${address}:8080/`), "offloaded");
      const at = { namespace, pod: "both" };
      await recorded(node, at, (record) => record.destination === `${address}:8080` && record.direction === "inbound");
    });
    await t.step(`not from another one to ${address}`, async () => {
      const [status] = await curl(node, { namespace: SPACES.restricted, pod: "closed" }, `http://${address}:8080/`);
      assert.equal(status, 0);
    });
  }
  await kubectl(node, ["delete", "-n", namespace, "pod/both", "--wait=false"]);
});

const container = "data-space-proxy";

async function proxyState(pod: string): Promise<{ restarts: number; running: boolean; reason: string | undefined }> {
  const { status } = await node.call<Pod>(`${PODS}/${pod}`);
  const { restartCount, state, lastState } = status!.initContainerStatuses!.find(({ name }) => name === container)!;
  return { restarts: restartCount, running: state!.running !== undefined, reason: lastState!.terminated?.reason };
}

/** Asks these URLs for 6 s from a pod, all in one exec, so that the questions come quicker than a proxy: a line each, the status first. */
async function ask(from: Place, urls: string[]): Promise<string[]> {
  const script = `end=$(($(date +%s) + 6)); while [ $(date +%s) -lt $end ]; do for url; do
    curl -sg -o /dev/null --max-time 1 -w "%{http_code} %{exitcode} $url\\n" $url; done; done`;
  const command = ["sh", "-c", script, "sh", ...urls];
  const { stdout } = await node.kubectl(["exec", "-n", from.namespace, from.pod, "-c", "main", "--", ...command]);
  return stdout.trim().split("\n");
}

/** From the first to the last line that tells of no answer. */
function whileAway(lines: string[]): string[] {
  const failed = (line: string) => !line.startsWith("200");
  return lines.slice(lines.findIndex(failed), lines.findLastIndex(failed) + 1);
}

async function urlsOf(at: Place): Promise<string[]> {
  const { status } = await node.call<Pod>(`/api/v1/namespaces/${at.namespace}/pods/${at.pod}`);
  return status!.podIPs!.map(({ ip }) => `http://${ip!.includes(":") ? `[${ip}]` : ip}:8080/`);
}

test("a proxy that is killed comes back, and nothing passes meanwhile", async () => {
  const server = { namespace: SPACES.hospital, pod: "server" };
  const [out, into] = [await urlsOf(server), await urlsOf(CLIENT)];
  for (const url of out) await answers(node, CLIENT, url);
  for (const url of into) await answers(node, server, url);
  const { restarts } = await proxyState("client");
  // The second time the kubelet waits 10 s before it starts it again: time for many questions.
  for (const kill of [1, 2]) {
    const asking = Promise.all([ask(CLIENT, out), ask(server, into)]);
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // some are answered before
    const pid = await processOf(node, { ...CLIENT, container });
    await node.node("kill", "-9", `${pid}`);
    for (const lines of await asking) {
      const away = whileAway(lines);
      assert.ok(lines[0]!.startsWith("200"), lines[0]);
      assert.ok(
        away.length >= (kill === 1 ? 1 : 4),
        `kill ${kill}: ${away.length} of ${lines.length} were not answered`,
      );
      assert.deepEqual(away.filter((line) => line.startsWith("200")), [], `kill ${kill}, of ${away.length}`);
    }
    await until(async () => (await proxyState("client")).running || undefined, {
      ms: 20_000,
      what: "proxy",
      every: 100,
    });
    await answers(node, CLIENT, PATIENTS);
  }
  assert.equal((await proxyState("client")).restarts, restarts + 2);
  assert.equal((await node.call<Pod>(`${PODS}/client`)).status!.containerStatuses![0]!.restartCount, 0);
});

test("a proxy that is out of memory is killed, and comes back", async () => {
  const { restarts } = await proxyState("prepared");
  const pid = await processOf(node, { namespace, pod: "prepared", container });
  // Another process in its cgroup takes all of its memory; the kernel ends the one that it may end sooner: the proxy.
  const script = `cgroup=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/$0/cgroup)
    [ -e $cgroup ] || cgroup=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$0/cgroup)
    echo $$ > $cgroup/cgroup.procs && exec tail /dev/zero`;
  await node.node("sh", "-c", script, `${pid}`);
  await until(async () => (await proxyState("prepared")).restarts > restarts || undefined, {
    ms: 60_000,
    what: "restart",
    every: 100,
  });
  assert.equal((await proxyState("prepared")).reason, "OOMKilled");
  await answers(node, { namespace, pod: "prepared" }, PATIENTS);
});
