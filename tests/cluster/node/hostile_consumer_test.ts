import assert from "node:assert/strict";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.d.ts";
import type { ConfigMap, Pod } from "kubernetes-types/core/v1.d.ts";
import { SPACES } from "../../../demo/manifests.ts";
import { injectedNames, labels, objects } from "../../../lib/core/names.ts";
import type { Output } from "../cluster.ts";
import { consumer, LIQO } from "../liqo.ts";
import { until } from "../processes.ts";
import { type ConsumerRow, consumerRows, spoofRows } from "./hostile/consumer_rows.ts";
import { harmlessPodRows, type PodRow, podRows } from "./hostile/pod_rows.ts";
import { fillIn, type Row, type Verdict, writeReport } from "./hostile/rows.ts";
import { createPod, podReady, startInstallation } from "./installation.ts";
import { isInjected, offloadedPod } from "./offloaded.ts";
import { missing } from "./packages.ts";

// What the consumer can do with its certificate, and with pods that it has Liqo create. Each row is really tried; where that shows anything,
// also in a namespace in which Data Spacer is not asked.

/** Not offloaded: no policy of ours holds. Else like the consumer's own. */
const PLAIN = "plain-pharma";
/** Offloaded, and opted out of the webhook. */
const FREE = "free-pharma";
const PHARMA = consumer("pharma");

const stack = new AsyncDisposableStack();
Deno.test.afterAll(async () => await stack.disposeAsync());
const { node, liqo } = missing === undefined ? stack.use(await startInstallation()) : undefined!;
const tools = missing === undefined ? await prepare() : undefined!;

const seen = new Map<Row, Verdict>();

function test(name: string, body: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name, ignore: missing !== undefined, fn: body });
}

/** The namespaces and their pods, and a `kubectl` for each identity in a folder of its own. */
async function prepare(): Promise<{ values: Record<string, string>; folder: string }> {
  const folder = await Deno.makeTempDir({ dir: node.processes.folder });
  await liqo.createOffloadedNamespace(SPACES.pharma);
  await liqo.createOffloadedNamespace(FREE, { labels: { [labels.applyWebhook]: "false" } });
  await liqo.createTenantNamespace("bank");
  await liqo.createOffloadedNamespace("trial-bank", { consumer: "bank" });
  for (const body of [{ metadata: { name: SPACES.hospital } }, { metadata: { name: PLAIN } }]) {
    await node.call("/api/v1/namespaces", { body });
  }
  const { spec } = await createPod(liqo, offloadedPod("app", "exec sleep 86400"), 30_000);
  await imitate(spec!);
  for (const namespace of [SPACES.pharma, FREE]) {
    await node.call(`/api/v1/namespaces/${namespace}/serviceaccounts`, { body: { metadata: { name: "builder" } } });
  }
  await Promise.all([podReady(node, SPACES.pharma, "app"), podReady(node, PLAIN, "app")]);
  const certificate = { name: PHARMA.as!, groups: ["pharma"] };
  const kubeconfigs = { consumer: await node.kubeconfig(certificate), liqo: await node.kubeconfig() };
  const liqoFlags = [`--as=${LIQO.as}`, ...LIQO.asGroups!.map((group) => `--as-group=${group}`)];
  for (const [who, flags] of [["consumer", []], ["liqo", liqoFlags]] as const) {
    await Deno.mkdir(`${folder}/${who}`);
    const script = `#!/bin/sh\nexec ${node.binaries.kubectl} --kubeconfig=${kubeconfigs[who]} ${
      flags.join(" ")
    } -n "$NAMESPACE" "$@"\n`;
    await Deno.writeTextFile(`${folder}/${who}/kubectl`, script, { mode: 0o755 });
  }
  const text = await Deno.readTextFile(kubeconfigs.consumer);
  for (const [file, key] of [["cert", "client-certificate-data"], ["key", "client-key-data"]] as const) {
    await Deno.writeTextFile(`${folder}/${file}.pem`, atob(new RegExp(`"?${key}"?: *"?([\\w+/=]+)`).exec(text)![1]!));
  }
  const files = {
    eviction: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "app", namespace: SPACES.pharma } },
    "allow-all": {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "allow-all" },
      spec: { podSelector: {}, egress: [{}], ingress: [{}], policyTypes: ["Egress", "Ingress"] },
    },
    endpoints: {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "lure", labels: { "kubernetes.io/service-name": "lure" } },
      addressType: "IPv4",
      endpoints: [{ addresses: ["192.0.2.7"] }],
      ports: [{ port: 7100 }],
    },
  };
  const values: Record<string, string> = {
    pod: "app",
    user: PHARMA.as!,
    node: node.addresses.node.v4,
    "node-name": node.addresses.name,
    certificate: `--cert ${folder}/cert.pem --key ${folder}/key.pem`,
  };
  for (const [name, object] of Object.entries(files)) {
    values[name] = `${folder}/${name}.json`;
    await Deno.writeTextFile(values[name], JSON.stringify(object));
  }
  return { values, folder };
}

/** Makes what the consumer has in its offloaded namespace in the plain one, too: the injected pod, our objects, the rights. */
async function imitate(spec: NonNullable<Pod["spec"]>): Promise<void> {
  await node.serviceAccount(PLAIN);
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${PLAIN}/rolebindings`;
  await node.call(rbac, {
    body: {
      metadata: { name: "pharma" },
      roleRef: { kind: "ClusterRole", name: "liqo-virtual-kubelet-remote" },
      subjects: [{ kind: "Group", name: "pharma" }],
    },
  });
  const { data } = await node.call<ConfigMap>(`/api/v1/namespaces/${SPACES.pharma}/configmaps/${objects.envoyConfig}`);
  await node.call(`/api/v1/namespaces/${PLAIN}/configmaps`, {
    body: { metadata: { name: objects.envoyConfig }, data },
  });
  await node.call(`/api/v1/namespaces/${PLAIN}/pods`, { body: { metadata: { name: "app" }, spec } });
  for (const namespace of [SPACES.pharma, PLAIN]) {
    const body = { metadata: { name: "lure" }, spec: { ports: [{ port: 7100 }] } };
    await node.call(`/api/v1/namespaces/${namespace}/services`, { body });
  }
}

/** Runs a row's command with the consumer's kubectl, or with Liqo's. */
async function run({ as }: ConsumerRow, command: string, namespace: string): Promise<Output> {
  const text = fillIn(command, { ...tools.values, namespace });
  const { code, stdout, stderr } = await new Deno.Command("timeout", {
    args: ["20", "sh", "-c", text],
    clearEnv: true,
    env: {
      PATH: `${tools.folder}/${as ?? "consumer"}:/usr/sbin:/usr/bin:/sbin:/bin`,
      NAMESPACE: namespace,
      HOME: tools.folder,
    },
    stdin: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** By whom a command was refused, in its own words. */
function refusals(by: string): RegExp {
  if (by === "RBAC") return /User "hospital-\w+" cannot \w+ resource/;
  if (by === "kubelet") return /returned error: 403/;
  return new RegExp(`ValidatingAdmissionPolicy '${by}\\.data-spacer\\.provider'`);
}

/** What a command came to: it has come off where it ended with 0, or went on until `timeout` ended it. */
function verdictOf({ code }: Output): Verdict {
  return code === 0 || code === 124 ? "gets through" : "refused";
}

test("the consumer's certificate can do nothing to the proxy and to what guards it", async (t) => {
  for (const row of consumerRows) {
    await t.step(`${row.expected}: ${row.what}: ${row.how}`, async () => {
      const [output, control] = await Promise.all([
        run(row, row.how, SPACES.pharma),
        row.control && run(row, row.control === "done" ? row.how : `${row.how} --dry-run=server`, PLAIN),
      ]);
      const verdict = verdictOf(output);
      seen.set(row, verdict);
      assert.equal(verdict, row.expected, output.stderr);
      if (row.by !== undefined) assert.match(output.stderr, refusals(row.by));
      if (control) assert.equal(verdictOf(control), row.bare, `control: ${control.stderr}`);
    });
  }
});

/** An honest pod with the row's fields. */
function podOf(row: PodRow, namespace: string): Pod {
  const { metadata, spec, container } = JSON.parse(fillIn(JSON.stringify(row), tools.values)) as PodRow;
  const pod = offloadedPod("hostile", "exec sleep 86400", { namespace, ...(container && { container }) });
  Object.assign(pod.spec!, spec);
  Object.assign(pod.metadata!, metadata);
  return pod;
}

test("Liqo creates no pod for the consumer that would get around the proxy", async (t) => {
  for (const row of podRows) {
    await t.step(`${row.expected}: ${row.what}: ${row.how}`, async () => {
      const answer = await liqo.createPod(podOf(row, SPACES.pharma));
      seen.set(row, answer.created ? "gets through" : "refused");
      assert.equal(answer.created, false);
      assert.match(answer.created ? "" : answer.message, /\.data-spacer\.provider/);
      if (row.bare === undefined) return;
      const control = await liqo.createPod(podOf(row, FREE), { dryRun: true });
      assert.ok(control.created, control.created ? "" : control.message);
    });
  }
  for (const row of harmlessPodRows) {
    await t.step(`${row.expected}: ${row.what}: ${row.how}`, async () => {
      const answer = await liqo.createPod(podOf(row, SPACES.pharma), { dryRun: true });
      assert.ok(answer.created && isInjected(answer.pod), JSON.stringify(answer));
      seen.set(row, "injected");
    });
  }
});

test("a consumer that claims to be another gets the strictest of everything", async () => {
  const mild = { [labels.podProfile]: "observed", [labels.applyNetpol]: "false", [labels.runAsUser]: "0" };
  await liqo.createOffloadedNamespace("spoofed", { claims: "bank", labels: mild });
  const root = offloadedPod("root", "true", {
    namespace: "spoofed",
    container: { securityContext: { runAsUser: 0 } },
  });
  const message = await until(async () => {
    const answer = await liqo.createPod(root);
    assert.equal(answer.created, false);
    return !answer.created && answer.message.includes("runAsUser") ? answer.message : undefined;
  }, { ms: 15_000, what: "judgement of the pod" });
  assert.match(message, /runAsUser: must be a user id other than 0/);
  const path = `/apis/networking.k8s.io/v1/namespaces/spoofed/networkpolicies/${objects.networkPolicy}`;
  assert.deepEqual((await node.call<NetworkPolicy>(path)).spec!.podSelector, {});
  const honest = await createPod(liqo, offloadedPod("honest", "true", { namespace: "spoofed" }));
  const { env } = honest.spec!.initContainers!.find(({ name }) => name === injectedNames.proxy)!;
  assert.equal(env!.find(({ name }) => name === "CONSUMER_ID")!.value, "pharma");
  assert.equal(env!.find(({ name }) => name === "CLAIMED_CONSUMER_ID")!.value, "bank");
  seen.set(spoofRows.claim, "refused");
});

test("a consumer that names its namespace like one of Liqo's is offloaded like any other", async () => {
  await liqo.createOffloadedNamespace("liqo-tenant-evil");
  assert.ok(isInjected(await createPod(liqo, offloadedPod("app", "true", { namespace: "liqo-tenant-evil" }))));
  seen.set(spoofRows.name, "injected");
});

test("what was seen is reported", async () => {
  const rows = [...consumerRows, ...podRows, ...harmlessPodRows, ...Object.values(spoofRows)];
  await writeReport("hostile-consumer", rows, seen);
});
