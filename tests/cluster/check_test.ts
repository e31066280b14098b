import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import { runtimeFlags } from "../../deploy/runtime_flags.ts";
import { run } from "../../lib/cli/check.ts";
import { type Outcome, runVerb } from "../support/run_verb.ts";
import { ROOT } from "../support/tree.ts";
import { startCluster } from "./cluster.ts";
import { type DataSpacer, startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { until } from "./processes.ts";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const admin = await cluster.kubeconfig();
const liqo = await Liqo.install(cluster);
let installed: DataSpacer;

/** What a user with that kubeconfig sees; the lines of some checks, if any are named. */
async function check(
  options: { kubeconfig?: string; of?: string[]; args?: string[] } = {},
): Promise<Outcome & { lines: string[] }> {
  const { kubeconfig = admin, of, args = [] } = options;
  const outcome = await runVerb(run, [`--kubeconfig=${kubeconfig}`, ...args]);
  const lines = outcome.stdout.split("\n").filter((line) => of === undefined || of.includes(line.split(/ +/)[1]!));
  return { ...outcome, lines };
}

/** The lines of one check. */
async function linesOf(id: string): Promise<string[]> {
  return (await check({ of: [id] })).lines;
}

async function kubectl(args: string[], stdin?: string): Promise<void> {
  const { code, stderr } = await cluster.kubectl(args, stdin === undefined ? {} : { stdin });
  assert.equal(code, 0, `kubectl ${args.join(" ")}: ${stderr}`);
}

const customResource = (kind: string, plural: string) => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: ${plural}.offloading.liqo.io }
spec:
  group: offloading.liqo.io
  scope: Namespaced
  names: { kind: ${kind}, plural: ${plural} }
  versions:
    - { name: v1beta1, served: true, storage: true, schema: { openAPIV3Schema: { type: object } } }
---`;

Deno.test("check of a bare cluster says what is missing, and ends with 0", async () => {
  const { code, stdout, stderr } = await check();
  assert.deepEqual([code, stderr], [0, ""], stdout);
  assert.match(stdout, /^ok {4}api-server +The API server is Kubernetes v1\./);
  assert.match(stdout, /^warn {2}kubelets +The cluster has no nodes/m);
  assert.match(stdout, /^warn {2}liqo +Liqo is not installed/m);
  assert.match(stdout, /^warn {2}network-policy +Cannot tell whether anything enforces NetworkPolicy/m);
  assert.match(
    stdout,
    /^warn {2}namespace +Namespace "data-spacer" is not there.*kubectl create namespace data-spacer$/m,
  );
  assert.match(stdout, /^warn {2}installation +Data Spacer is not installed/m);
});

Deno.test("check fails where Liqo has made our namespace", async () => {
  await liqo.createOffloadedNamespace("taken", {}, false);
  const { code, lines } = await check({ of: ["namespace"], args: ["--namespace=taken"] });
  assert.equal(code, 1);
  assert.match(lines[0]!, /^fail {2}namespace +Namespace "taken" was made by Liqo for consumer "pharma"/);
  await kubectl(["delete", "namespace", "taken", "--wait=false"]);
});

Deno.test("check knows nodes, Liqo and the network engine by their objects", async () => {
  const node = (name: string, kubeletVersion: string) =>
    cluster.call("/api/v1/nodes", { body: { metadata: { name }, status: { nodeInfo: { kubeletVersion } } } });
  await node("new", "v1.36.3");
  await node("old", "v1.29.9");
  await kubectl(
    ["apply", "-f", "-"],
    customResource("ShadowPod", "shadowpods") + customResource("NamespaceMap", "namespacemaps"),
  );
  await kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=10s"]);
  const containers = [{ name: "calico-node", image: "localhost/calico:1" }];
  const labels = { app: "calico" };
  await cluster.call("/apis/apps/v1/namespaces/kube-system/daemonsets", {
    body: {
      metadata: { name: "calico-node" },
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
    },
  });
  await until(async () => (await linesOf("liqo"))[0]!.startsWith("ok") || undefined, {
    ms: 10_000,
    what: "Liqo's API group",
  });
  const { code, lines } = await check({ of: ["kubelets", "liqo", "network-policy"] });
  assert.equal(code, 1);
  assert.deepEqual(lines.map((line) => line.replace(/ {2,}/g, " ")), [
    "ok kubelets The kubelet of 1 node (new) is v1.36.3",
    "fail kubelets The kubelet of 1 node (old) is v1.29.9; 1.30 is the oldest that is supported; remedy: upgrade it",
    "ok liqo Liqo is installed: offloading.liqo.io/v1beta1 has ShadowPod and NamespaceMap",
    "ok network-policy Calico (DaemonSet kube-system/calico-node) enforces NetworkPolicy, ready on 0 of 0 nodes",
  ]);
  await kubectl(["delete", "node", "old"]);
});

Deno.test("check finds an installation in order, but for pods that are older than it", async () => {
  await kubectl(["wait", "--for=delete", "namespace/taken", "--timeout=20s"]);
  await kubectl(["create", "namespace", "data-spacer"]);
  await liqo.createTenantNamespace("pharma");
  await liqo.createOffloadedNamespace("trial-pharma");
  await liqo.createPod(await liqoPod("trial-pharma", "older"));
  installed = await startDataSpacer(cluster);
  const answer = await liqo.createPod(await liqoPod("trial-pharma", "younger"), { retryMs: 10_000 });
  assert.ok(answer.created);

  const before = await check({ of: ["pods"] });
  assert.equal(before.code, 1);
  assert.match(before.lines.join("\n"), /^fail {2}pods +1 pod without the proxy: trial-pharma\/older; remedy: /);
  await kubectl(["-n", "trial-pharma", "delete", "pod", "older", "--force", "--grace-period=0"]);

  const { code, stdout } = await check();
  // No pod of ours is ever scheduled here: the replicas run as processes beside the cluster.
  const bad = stdout.split("\n").slice(0, -2).filter((line) => !line.startsWith("ok"));
  assert.equal(bad.length, 1, stdout);
  assert.match(
    bad[0]!,
    /^warn {2}installation +Deployment "data-spacer\/data-spacer" has 0 of 2 replicas ready; remedy: /,
  );
  assert.match(stdout, /^ok {4}leader +Replica "data-spacer-0/m);
  assert.match(stdout, /^ok {4}certificates +The caBundle vouches for the certificate of 10\./m);
  assert.match(stdout, /^ok {4}objects +2 objects in 1 offloaded namespace: each as it should be$/m);
  assert.match(stdout, /^ok {4}trial-pods +A pod is created and gets the proxy, in 1 namespace \(trial-pharma\)$/m);
  assert.match(stdout, /^ok {4}pods +1 running pod, all with the proxy that new pods get$/m);
  assert.equal(code, 0);
  const { body } = await cluster.request<{ items: unknown[] }>("/api/v1/namespaces/trial-pharma/pods");
  assert.equal(body.items.length, 1, "a trial pod was stored");
});

Deno.test("check is a program like any other: exit code, JSON lines", async () => {
  const args = ["run", "--quiet", ...runtimeFlags.workstation, "main.ts", "check", "--output=json"];
  const options = { cwd: ROOT, env: { KUBECONFIG: `${admin}:${admin}` } };
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, ...options }).output();
  assert.deepEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
  const lines = new TextDecoder().decode(stdout).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.length > 14);
  for (const line of lines) assert.match(`${line.check} ${line.level} ${line.message}`, /^[a-z-]+ (ok|warn|fail) ./);
});

Deno.test("check examines the cluster of the context that is named, and no other one", async () => {
  const config = parse(await Deno.readTextFile(admin));
  const [{ context }] = config.contexts;
  config.clusters.push({ name: "elsewhere", cluster: { server: "https://127.0.0.1:1" } });
  config.contexts = [
    { name: "hospital", context },
    { name: "office", context: { ...context, cluster: "elsewhere" } },
  ];
  config["current-context"] = "office";
  const kubeconfig = `${cluster.processes.folder}/contexts.kubeconfig`;
  await Deno.writeTextFile(kubeconfig, stringify(config));
  const named = await check({ kubeconfig, args: ["--context=hospital"] });
  assert.equal(named.code, 0, named.stdout);
  assert.match(named.stdout, /^ok {4}leader +Replica "data-spacer-0/m);
  for (const args of [[], ["--context=office"]]) {
    const { code, stdout } = await check({ kubeconfig, args });
    assert.equal(code, 1);
    assert.match(stdout, /^fail {2}api-server /);
  }
  const { stderr } = await check({ kubeconfig, args: ["--context=clinic"] });
  assert.match(stderr, /"clinic"/);
});

Deno.test("check by somebody without rights cannot tell, and ends with 0", async () => {
  const { code, stdout } = await check({ kubeconfig: await cluster.kubeconfig({ name: "jane", groups: [] }) });
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^warn {2}kubelets +Cannot tell: "jane" may not list nodes at the cluster scope; remedy: run this as/m,
  );
  assert.match(
    stdout,
    /^warn {2}permissions +Cannot tell: "jane" may not create subjectaccessreviews\.authorization\.k8s\.io/m,
  );
  assert.equal(stdout.match(/^fail/gm), null);
});

Deno.test("check in our pod, with our ServiceAccount's rights, tells what these can tell", async () => {
  const tokenFile = `${cluster.processes.folder}/check.token`;
  await Deno.writeTextFile(tokenFile, await cluster.token("data-spacer", "data-spacer"));
  const { code, stdout } = await check({ kubeconfig: await cluster.writeKubeconfig("check", { tokenFile }) });
  assert.equal(code, 0, stdout);
  for (const id of ["namespace", "leader", "permissions", "webhook", "certificates", "offloaded", "objects", "pods"]) {
    assert.match(stdout, new RegExp(`^ok {4}${id} `, "m"));
  }
});

Deno.test("check names Pod Security, a quota and a limit range as the cause of a refusal", async (t) => {
  const line = async (name: string) => (await linesOf("trial-pods")).find((line) => line.includes(`(${name})`));
  const inNamespace = async (name: string, prepare: () => Promise<void>, expected: RegExp, labels = {}) => {
    await liqo.createOffloadedNamespace(name, { labels });
    await prepare();
    await until(async () => expected.test(await line(name) ?? "") || undefined, { ms: 10_000, what: `${expected}` })
      .catch(async (cause) => assert.fail(`${cause.message}, but: ${await line(name)}`));
    await kubectl(["delete", "namespace", name, "--wait=false"]);
  };
  const create = (kind: string, spec: object) => async () => {
    const [namespace, plural] = kind === "ResourceQuota" ? ["quota", "resourcequotas"] : ["limits", "limitranges"];
    await cluster.call(`/api/v1/namespaces/${namespace}/${plural}`, { body: { metadata: { name: "narrow" }, spec } });
    // Without the controller that counts, a quota is in force once its status says what it limits.
    if (kind !== "ResourceQuota") return;
    const hard = (spec as { hard: Record<string, string> }).hard;
    const used = Object.fromEntries(Object.keys(hard).map((key) => [key, "0"]));
    const path = `/api/v1/namespaces/quota/resourcequotas/narrow/status`;
    const options = { method: "PATCH", contentType: "application/merge-patch+json" };
    await cluster.call(path, { ...options, body: { status: { hard, used } } });
  };
  await t.step("Pod Security", () =>
    inNamespace(
      "guarded",
      () => Promise.resolve(),
      /^fail {2}trial-pods +Pod Security "baseline:latest" refuses our init container, in .*; remedy: label the namespace/,
      { "pod-security.kubernetes.io/enforce": "baseline" },
    ));
  await t.step("a quota", () =>
    inNamespace(
      "quota",
      create("ResourceQuota", { hard: { "limits.memory": "100Mi" } }),
      /^fail {2}trial-pods +ResourceQuota "narrow" is used up \(requested: limits\.memory=.*limited: limits\.memory=100Mi\)/,
    ));
  await t.step("a limit range", () =>
    inNamespace(
      "limits",
      create("LimitRange", { limits: [{ type: "Container", max: { memory: "100Mi" } }] }),
      /^fail {2}trial-pods +A LimitRange refuses the pod \(maximum memory usage per Container is 100Mi/,
    ));
});

Deno.test("check names a right that our ServiceAccount has lost", async () => {
  await kubectl(["-n", "default", "delete", "rolebinding", "data-spacer-events"]);
  const wanted =
    /^fail {2}permissions +ServiceAccount "data-spacer\/data-spacer" may not [a-z, ]*create[a-z, ]* events in namespace "default"/;
  await until(async () => wanted.test((await linesOf("permissions"))[0]!) || undefined, {
    ms: 5_000,
    what: `${wanted}`,
  });
  await kubectl(["apply", "-k", `${ROOT}deploy/base`]);
  await until(async () => (await linesOf("permissions"))[0]!.startsWith("ok") || undefined, {
    ms: 5_000,
    what: "the right",
  });
});

Deno.test("check sees pods whose proxy is older than the one that new pods get", async () => {
  await installed.replica.stop();
  await installed.startReplica({ flags: ["--proxy-image=registry.example/envoy:new"] });
  const wanted = /^warn {2}pods +1 pod with another proxy than new pods get, .*: trial-pharma\/younger; remedy: /;
  await until(async () => wanted.test((await linesOf("pods"))[0]!) || undefined, { ms: 10_000, what: `${wanted}` });
});

Deno.test("check says what is wrong while no replica runs", async () => {
  await installed[Symbol.asyncDispose]();
  await kubectl(["-n", "trial-pharma", "delete", "networkpolicy", "--all"]);
  await kubectl([
    "patch",
    "mutatingwebhookconfiguration",
    "data-spacer",
    "--type=json",
    "-p",
    '[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]',
  ]);
  const { code, stdout } = await check();
  assert.equal(code, 1);
  assert.match(stdout, /^fail {2}certificates +Service "data-spacer\/data-spacer" has no ready endpoint/m);
  assert.match(
    stdout,
    /^fail {2}webhook +.*: failurePolicy must be "Fail", but is "Ignore"; remedy: kubectl apply -k deploy\/base/m,
  );
  assert.match(
    stdout,
    /^fail {2}objects +NetworkPolicy "data-space-network-policy" is missing in 1 namespace: trial-pharma; /m,
  );
  assert.match(
    stdout,
    /^fail {2}trial-pods +A pod is created, but without the proxy, in 1 namespace \(trial-pharma\)/m,
  );

  await kubectl(["apply", "-k", `${ROOT}deploy/base`]);
  const closed = /^fail {2}trial-pods +Webhook ".*" does not answer \(.*no endpoints available/;
  await until(async () => closed.test((await linesOf("trial-pods"))[0]!) || undefined, {
    ms: 10_000,
    what: `${closed}`,
  });
});

Deno.test("check of an API server that does not answer says so and ends with 1", async () => {
  await cluster.killApiServer();
  const { code, stdout } = await check();
  assert.equal(code, 1);
  assert.match(stdout, /^fail {2}api-server +Cannot get \/version: .*refused.*\n0 ok, 0 warnings, 1 failure\n$/);
});
