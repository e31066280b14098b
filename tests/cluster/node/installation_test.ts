import assert from "node:assert/strict";
import type { Pod, ResourceQuota } from "kubernetes-types/core/v1.d.ts";
import { SPACES } from "../../../demo/manifests.ts";
import { run as check } from "../../../lib/cli/check.ts";
import { runVerb } from "../../support/run_verb.ts";
import { KINDS, Operator } from "../operator.ts";
import { overlay } from "../overlay.ts";
import { until } from "../processes.ts";
import { CONTAINERD } from "./configuration.ts";
import { TEST_IMAGES } from "./images.ts";
import {
  apply,
  createPod,
  deployHospital,
  deployPharma,
  deployRestricted,
  install,
  kubectl,
  overlayText,
  playLiqo,
  podReady,
  recorded,
  startNodeWithImages,
  uninstall,
} from "./installation.ts";
import type { Node } from "./node.ts";
import { answers, curl, isInjected, offloadedPod } from "./offloaded.ts";
import { missing } from "./packages.ts";

// The life of an installation, as the provider's operator sees it: from before the first apply to after the last delete.

const node = missing === undefined ? await startNodeWithImages() : undefined as never as Node;
if (missing === undefined) Deno.test.afterAll(() => node[Symbol.asyncDispose]());
const liqo = missing === undefined ? await playLiqo(node) : undefined as never;
const operator = new Operator(node);
const TRIAL = "trial-pharma";
const PATIENTS = "http://hospital-app.hospital-space:8080/patients";
const RESTRICTED = "http://restricted-app.restricted-space:8080/patients";
let applied: string;

function test(name: string, body: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name, ignore: missing !== undefined, fn: body });
}

async function findPod(namespace: string, name: string): Promise<Pod | undefined> {
  const { status, body } = await node.request<Pod>(`/api/v1/namespaces/${namespace}/pods/${name}`);
  return status === 200 ? body : undefined;
}

/** Waits until a URL is not answered any more: for at most 30 s the proxy uses connections of its own that were allowed. */
async function blocked(from: { namespace: string; pod: string }, url: string): Promise<void> {
  await until(async () => [0, 503].includes((await curl(node, from, url))[0]) || undefined, {
    ms: 40_000,
    what: `end of answers from ${url}`,
    every: 100,
  });
}

if (missing === undefined) {
  await Promise.all([deployHospital(node), deployRestricted(node), liqo.createOffloadedNamespace(TRIAL)]);
  for (
    const [name, labels] of [["older-deployed", { "pod-template-hash": "6d5c7b9f4" }], ["older-bare", {}]] as const
  ) {
    await createPod(liqo, offloadedPod(name, "exec sleep 3600", { namespace: TRIAL, labels }));
  }
  for (const name of ["older-deployed", "older-bare"]) await podReady(node, TRIAL, name);
}

test("kubectl apply -k with images of one's own installs two ready replicas, and check finds nothing wrong but older pods", async () => {
  applied = await install(node);
  const { code, stdout, stderr } = await runVerb(check, [`--kubeconfig=${await node.kubeconfig()}`]);
  assert.equal(code, 1, stdout + stderr);
  assert.match(stdout, /^ok +installation +Deployment "data-spacer\/data-spacer" has 2 of 2 replicas ready$/m);
  assert.match(stdout, /^ok +trial-pods +A pod is created and gets the proxy/m);
  assert.deepEqual(stdout.match(/^fail .*?;/mg), [
    "fail  pods            2 pods without the proxy: trial-pharma/older-bare, trial-pharma/older-deployed;",
  ]);
  await operator.holds(TRIAL, KINDS);
});

test("pods older than the installation are found and named, and stay until somebody asks for more", async () => {
  const [event] = await operator.event("PodsUninjected", TRIAL);
  assert.match(event!.message!, /older-bare, older-deployed/);
  for (const name of ["older-deployed", "older-bare"]) {
    assert.equal((await findPod(TRIAL, name))!.metadata!.deletionTimestamp, undefined);
  }
});

test("an offloaded app reads what is permitted, which is recorded, and nothing else", async () => {
  await deployPharma(node, liqo);
  const at = { namespace: SPACES.pharma, pod: "pharma-app" };
  await createPod(liqo, offloadedPod("client", "exec sleep 3600"));
  await podReady(node, SPACES.pharma, "client");
  const client = { namespace: SPACES.pharma, pod: "client" };
  await operator.label(SPACES.pharma, { "data-space/netpol-allow": "true" }); // else not even pods of the namespace may call each other
  const answer = await answers(node, client, `http://pharma-app.${SPACES.pharma}:8080/processed-data`);
  assert.equal(JSON.parse(answer).patients, 8);
  const record = await recorded(node, at, ({ direction, path }) => direction === "outbound" && path === "/patients");
  assert.deepEqual(
    { consumer: record.consumer, namespace: record.namespace, pod: record.pod, method: record.method },
    { consumer: "pharma", ...at, method: "GET" },
  );
  assert.equal(record.host, "hospital-app.hospital-space:8080");
  assert.equal(record.status, 200);
  await blocked(client, RESTRICTED);
  await recorded(node, client, ({ host, status }) => host === "restricted-app.restricted-space:8080" && status !== 200);
  await operator.label(SPACES.pharma, { "data-space/netpol-allow": null });
});

test("the component recreate-uninjected has the older pod evicted whose consumer makes a new one", async () => {
  applied = await overlay(node, overlayText({ components: ["recreate-uninjected"] }));
  await apply(node, applied);
  await until(async () => await findPod(TRIAL, "older-deployed") === undefined || undefined, {
    ms: 45_000,
    what: "end of the older pod",
    every: 200,
  });
  const [event] = await operator.event("PodRecreated", TRIAL);
  assert.match(event!.message!, /"older-deployed".*evicted/);
  assert.equal((await findPod(TRIAL, "older-bare"))!.metadata!.deletionTimestamp, undefined);
  const labels = { "pod-template-hash": "6d5c7b9f4" };
  assert.ok(
    isInjected(await createPod(liqo, offloadedPod("newer-deployed", "exec sleep 3600", { namespace: TRIAL, labels }))),
  );
  await podReady(node, TRIAL, "newer-deployed");
});

test("without its NetworkPolicy, by the operator's label, a pod reaches more, through the proxy; and no longer afterwards", async () => {
  const client = { namespace: SPACES.pharma, pod: "client" };
  await operator.label(SPACES.pharma, { "data-space/apply-netpol": "false" });
  await operator.holds(SPACES.pharma, ["ConfigMap"]);
  await answers(node, client, RESTRICTED);
  await recorded(node, client, ({ host, status }) => host === "restricted-app.restricted-space:8080" && status === 200);
  await operator.label(SPACES.pharma, { "data-space/apply-netpol": null });
  await operator.holds(SPACES.pharma, KINDS);
  await blocked(client, RESTRICTED);
  await answers(node, client, PATIENTS);
});

test("without the webhook, by the operator's label, new pods have no proxy but the NetworkPolicy; running ones work on", async () => {
  const client = { namespace: SPACES.pharma, pod: "client" };
  await operator.label(SPACES.pharma, { "data-space/apply-webhook": "false" });
  await operator.holds(SPACES.pharma, ["NetworkPolicy"]);
  const free = await until(async () => {
    const pod = await createPod(liqo, offloadedPod("free", "exec sleep 3600"), 5_000);
    if (!isInjected(pod)) return pod;
    await kubectl(node, ["delete", "-n", SPACES.pharma, "pod/free", "--force"]); // the API server had not heard of the label
  }, { ms: 10_000, what: "pod without the proxy", every: 200 });
  assert.equal(free.spec!.initContainers, undefined);
  await podReady(node, SPACES.pharma, "free");
  await answers(node, { namespace: SPACES.pharma, pod: "free" }, PATIENTS);
  await blocked({ namespace: SPACES.pharma, pod: "free" }, RESTRICTED);
  await answers(node, client, PATIENTS);

  await operator.label(SPACES.pharma, { "data-space/apply-webhook": null });
  await operator.holds(SPACES.pharma, KINDS);
  const [event] = await operator.event("PodsUninjected", SPACES.pharma);
  assert.match(event!.message!, /1 pod runs without the proxy: free/);
  await answers(node, client, PATIENTS);
  const again = await createPod(liqo, offloadedPod("bound", "exec sleep 3600"));
  assert.ok(isInjected(again));
  await kubectl(node, ["delete", "-n", SPACES.pharma, "pod/free", "pod/bound", "--wait=false"]);
});

test("with ResourceQuota and LimitRange in the namespace pods run, and our part of them counts", async () => {
  const namespace = "quota-pharma";
  await liqo.createOffloadedNamespace(namespace);
  await operator.holds(namespace, KINDS);
  const objects = [
    ["resourcequotas", { spec: { hard: { "limits.cpu": "700m", "limits.memory": "1Gi", "requests.cpu": "700m" } } }],
    ["limitranges", {
      spec: {
        limits: [{
          type: "Container",
          default: { cpu: "100m", memory: "64Mi" },
          defaultRequest: { cpu: "50m", memory: "32Mi" },
          max: { cpu: "500m", memory: "256Mi" },
        }],
      },
    }],
  ] as const;
  for (const [resource, object] of objects) {
    await node.call(`/api/v1/namespaces/${namespace}/${resource}`, {
      body: { metadata: { name: "limited" }, ...object },
    });
  }
  const quota = () => node.call<ResourceQuota>(`/api/v1/namespaces/${namespace}/resourcequotas/limited`);
  await until(async () => (await quota()).status?.used?.["limits.cpu"], { ms: 10_000, what: "quota", every: 50 });
  for (const name of ["first", "second"]) {
    await createPod(liqo, offloadedPod(name, "exec sleep 3600", { namespace }));
    await podReady(node, namespace, name);
  }
  assert.equal((await quota()).status!.used!["limits.memory"], "512Mi"); // twice 64Mi for main and 192Mi for the proxy
  const answer = await liqo.createPod(offloadedPod("third", "exec sleep 3600", { namespace }));
  assert.ok(!answer.created && /exceeded quota/.test(answer.message), JSON.stringify(answer));
  await kubectl(node, ["delete", "-n", namespace, "pod/first", "--grace-period=1"]);
  await createPod(liqo, offloadedPod("third", "exec sleep 3600", { namespace }), 15_000);
  await podReady(node, namespace, "third");
});

/** Gives an image of the node a second name, as a new release has. */
async function tag(ref: string): Promise<string> {
  const newRef = ref.replace(/:[^:]*$/, ":next");
  const command = ["ctr", "--address", CONTAINERD, "--namespace", "k8s.io", "images", "tag", ref, newRef];
  const { code, stderr } = await node.node(...command);
  assert.equal(code, 0, stderr);
  return newRef;
}

test("an upgrade by one more apply refuses no pod and lets none without the proxy pass", async () => {
  const namespace = "upgrade-pharma";
  await liqo.createOffloadedNamespace(namespace);
  await operator.holds(namespace, KINDS);
  const { controller, init, proxy } = TEST_IMAGES;
  const images = { controller: await tag(controller), init: await tag(init), proxy: await tag(proxy) };
  const components = ["recreate-uninjected"];
  applied = await overlay(
    node,
    overlayText({ images, components, env: { LOG_LEVEL: "debug", DEFAULT_RUN_AS_USER: "10002" } }),
  );
  let upgrading = true;
  const upgrade = apply(node, applied).finally(() => upgrading = false);
  const pods: Pod[] = [];
  const refusals: string[] = [];
  const isNew = (pod: Pod | undefined) => pod?.spec?.initContainers?.[1]?.image === images.proxy;
  // The API server keeps its connection to a replica that is going until that one closes it: so on beyond the end of the roll-out.
  for (let i = 0; i < 600 && (upgrading || !isNew(pods.at(-1))); i++) {
    const pod = offloadedPod(`pod-${i}`, "exec sleep 3600", { namespace, spec: { schedulerName: "nobody" } });
    const answer = await liqo.createPod(pod);
    if (answer.created) pods.push(answer.pod);
    else refusals.push(answer.message);
    await new Promise((resolve) => setTimeout(resolve, 80));
  }
  await upgrade;
  const seen = `${pods.length} created, of which ${pods.filter(isNew).length} with the new proxy`;
  assert.deepEqual(refusals, [], seen);
  assert.deepEqual(pods.filter((pod) => !isInjected(pod)), [], seen);
  assert.ok(isNew(pods.at(-1)) && pods.length > 50, seen);

  await createPod(liqo, offloadedPod("after", "exec sleep 3600", { namespace }));
  const after = await podReady(node, namespace, "after");
  assert.equal(after.spec!.initContainers![0]!.image, images.init);
  assert.equal(after.spec!.containers[0]!.securityContext!.runAsUser, 10_002);
  // Pods of both versions reach what is permitted.
  await answers(node, { namespace, pod: "after" }, PATIENTS);
  await answers(node, { namespace: SPACES.pharma, pod: "client" }, PATIENTS);
});

/** All objects of all kinds, `KIND NAMESPACE/NAME`, but for Events. */
async function everything(): Promise<string[]> {
  const kinds = (await kubectl(node, ["api-resources", "--verbs=list", "--output=name"])).trim().split("\n")
    .filter((kind) => !kind.startsWith("events"));
  const format = '{range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{"\\n"}{end}';
  return (await kubectl(node, ["get", kinds.join(), "--all-namespaces", `--output=jsonpath=${format}`])).trim().split(
    "\n",
  );
}

test("uninstalling leaves nothing, blocks no pod, and lets running ones work on", async () => {
  assert.ok((await everything()).some((line) => line.includes("data-spac")));
  await uninstall(node, applied);
  const uninstalled = Date.now();
  assert.deepEqual((await everything()).filter((line) => line.includes("data-spac")), []);
  const answer = await liqo.createPod(offloadedPod("afterwards", "exec sleep 3600"), { retryMs: 5_000 });
  assert.ok(answer.created, JSON.stringify(answer));
  assert.ok(!isInjected(answer.pod));
  await podReady(node, SPACES.pharma, "afterwards");
  const client = { namespace: SPACES.pharma, pod: "client" };
  await answers(node, client, PATIENTS);
  await recorded(node, client, ({ time, path }) => path === "/patients" && Date.parse(time) > uninstalled);
});
