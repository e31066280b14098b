import assert from "node:assert/strict";
import type { Container, Pod } from "kubernetes-types/core/v1.d.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { LIQO, Liqo, liqoPod } from "./liqo.ts";
import { ADMINISTRATOR, CLERK, Doors, dryRun, patch, type Request } from "./policies.ts";
import { until } from "./processes.ts";

const WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const CONTRACT = "/api/v1/namespaces/data-spacer/configmaps/data-spacer-contract";
const POLICY = "pod-creation";
const FLAGS = ["--proxy-image=localhost/envoy:next"];

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
const doors = await Doors.create(cluster);
const dataSpacer = await startDataSpacer(cluster);
await liqo.createTenantNamespace();
await liqo.createOffloadedNamespace("trial-pharma");
await liqo.createOffloadedNamespace("free-pharma", { labels: { "data-space/apply-webhook": "false" } });
await doors.inForce("trial-pharma");

async function create(name: string, retryMs = 10_000): Promise<Pod> {
  const answer = await liqo.createPod(await liqoPod("trial-pharma", name), { retryMs });
  assert.ok(answer.created, JSON.stringify(answer));
  return answer.pod;
}

/** The request to create another pod of the same contents. */
async function copy(pod: Pod, change: (pod: Pod) => void = () => {}): Promise<Request> {
  const body = structuredClone({ ...pod, metadata: (await liqoPod("trial-pharma", "copied")).metadata! });
  change(body);
  return { path: "/api/v1/namespaces/trial-pharma/pods", body };
}

async function plain(namespace: string): Promise<Request> {
  return { path: `/api/v1/namespaces/${namespace}/pods`, body: await liqoPod(namespace, "plain") };
}

const first = await create("first");
// Another version comes: pods of both are right while replicas are replaced.
const next = await dataSpacer.startReplica({ flags: FLAGS });
await dataSpacer.replica.stop();
const second = await create("second");

Deno.test("where nothing calls the webhook any more, a pod without our containers is refused", async (t) => {
  assert.equal(second.spec!.initContainers![1]!.image, "localhost/envoy:next");
  await next.kill();
  const webhook = await cluster.call<{ metadata: Record<string, unknown> }>(`${WEBHOOKS}/data-spacer`);
  await cluster.call(`${WEBHOOKS}/data-spacer`, { method: "DELETE" });
  // The API server goes on calling it for a moment.
  await until(async () => {
    const answer = await liqo.createPod(await liqoPod("trial-pharma", "probe"), { dryRun: true });
    return answer.created || answer.message.includes("ValidatingAdmissionPolicy") || undefined;
  }, { ms: 5_000, what: "end of the webhook" });

  const init = (pod: Pod, i: number): Container => pod.spec!.initContainers![i]!;
  const early = { name: "early", image: "localhost/evil:1" };
  const forgeries: Record<string, (pod: Pod) => void> = {
    "no init containers": (pod) => delete pod.spec!.initContainers,
    "an empty list of them": (pod) => pod.spec!.initContainers = [],
    "the first alone": (pod) => pod.spec!.initContainers!.splice(1),
    "the second alone": (pod) => pod.spec!.initContainers!.shift(),
    "the other order": (pod) => pod.spec!.initContainers!.reverse(),
    "another container before them": (pod) => pod.spec!.initContainers!.unshift(early),
    "another container between them": (pod) => pod.spec!.initContainers!.splice(1, 0, early),
    "another name of the first": (pod) => init(pod, 0).name = "init",
    "another name of the second": (pod) => init(pod, 1).name = "proxy",
    "another image of the first": (pod) => init(pod, 0).image = "localhost/evil:1",
    "another image of the second": (pod) => init(pod, 1).image = "localhost/evil:1",
    "another script": (pod) => init(pod, 0).command![2] = "true",
    "a script of one line, the others as its arguments": (pod) =>
      init(pod, 0).command!.splice(2, 1, ...init(pod, 0).command![2]!.split("\n")),
    "another shell": (pod) => init(pod, 0).command![0] = "/bin/true",
    "another option of the shell": (pod) => init(pod, 0).command![1] = "-n",
    "one word more": (pod) => init(pod, 0).command!.push("x"),
    "no command": (pod) => delete init(pod, 0).command,
    "another program as proxy": (pod) => init(pod, 1).command = ["/bin/sleep"],
    "a proxy that ends": (pod) => {
      for (const field of ["restartPolicy", "startupProbe", "readinessProbe"] as const) delete init(pod, 1)[field];
    },
  };
  for (const [name, change] of Object.entries(forgeries)) {
    await t.step(`refused: ${name}`, async () => {
      const message = await doors.refused(POLICY, LIQO, await copy(second, change));
      assert.match(message, /The provider hosts pods only with its proxy/);
    });
  }
  await t.step(
    "refused: nothing of ours",
    async () => void await doors.refused(POLICY, LIQO, await plain("trial-pharma")),
  );
  await t.step("refused: nothing of ours, by a clerk", async () => {
    await doors.refused(POLICY, CLERK, await plain("trial-pharma"));
  });
  await t.step("passes: as the newest version makes them", async () => doors.passes(LIQO, dryRun(await copy(second))));
  await t.step("passes: as the one before makes them", async () => doors.passes(LIQO, dryRun(await copy(first))));
  await t.step("passes: nothing of ours, by the administrator", async () => {
    await doors.passes(ADMINISTRATOR, dryRun(await plain("trial-pharma")));
  });
  for (const namespace of ["free-pharma", "liqo-tenant-pharma", "default"]) {
    await t.step(`passes: nothing of ours in ${namespace}`, async () => {
      await cluster.serviceAccount(namespace);
      await doors.passes(LIQO, dryRun(await plain(namespace)));
    });
  }
  await t.step("refused: as the one before makes them, once that is no longer published", async () => {
    const gone = ["init-image-1", "init-script-1", "proxy-image-1"].map((key) => [key, null]);
    await doors.passes(ADMINISTRATOR, patch(CONTRACT, { data: Object.fromEntries(gone) }));
    await until(async () => {
      const { path, body } = dryRun(await copy(first));
      return (await cluster.request(path, { ...LIQO, body })).status === 403 || undefined;
    }, { ms: 5_000, what: "refusal" });
    await doors.refused(POLICY, LIQO, await copy(first));
    await doors.passes(LIQO, dryRun(await copy(second)));
  });
  await t.step("refused: every pod, once nothing says what is right", async () => {
    const { path, body } = dryRun(await copy(second));
    await cluster.call(CONTRACT, { method: "DELETE" });
    await until(async () => {
      const answer = await cluster.request<{ message?: string }>(path, { ...LIQO, body });
      return /'pod-creation.data-spacer.provider' .* no params found/.test(answer.body.message ?? "") || undefined;
    }, { ms: 5_000, what: "refusal" });
    await doors.passes(LIQO, dryRun(await plain("free-pharma")));
  });

  const { name, labels, annotations } = webhook.metadata;
  await cluster.call(WEBHOOKS, { body: { ...webhook, metadata: { name, labels, annotations } } });
  await dataSpacer.startReplica({ flags: FLAGS });
  await create("third");
});

Deno.test("what the version before makes stays right for an hour after the upgrade, then the leader forgets it", async () => {
  const before = await cluster.call<{ data: Record<string, string> }>(CONTRACT);
  const rolledBack = await dataSpacer.startReplica({});
  const upgraded = await dataSpacer.startReplica({ flags: FLAGS });
  const old = dryRun(await copy(first));
  const contract = async () => (await cluster.call<{ data: Record<string, string> }>(CONTRACT)).data;
  const age = async (ms: number) => {
    const [newest, superseded] = JSON.parse((await contract())["templates.json"]!);
    const aged = JSON.stringify([newest, { ...superseded, supersededAt: Date.now() - ms }]);
    await doors.passes(ADMINISTRATOR, patch(CONTRACT, { data: { "templates.json": aged } }));
  };
  const supersededAt = async () => JSON.parse((await contract())["templates.json"]!)[1].supersededAt;
  assert.ok(Date.now() - await supersededAt() < 60_000);
  await doors.passes(LIQO, old);

  // While a replica of that version runs, it says so.
  await age(20 * 60_000);
  await until(async () => Date.now() - await supersededAt() < 60_000 || undefined, {
    ms: 5_000,
    what: "the older replica's word",
  });
  await rolledBack.stop();

  // An hour passes but for a moment, in which the leader only waits.
  await age(3_600_000 - 4_000);
  await doors.passes(LIQO, old);
  await until(async () => Object.keys(await contract()).every((key) => !key.endsWith("-1")) || undefined, {
    ms: 10_000,
    what: "the leader to forget the version before",
  });
  assert.deepEqual(await contract(), before.data);
  const answer = await cluster.request<{ message?: string }>(old.path, { ...LIQO, body: old.body });
  assert.equal(answer.status, 403);
  assert.match(answer.body.message!, /spec\.initContainers\[\d\]\.image: belongs to the provider/);
  await doors.passes(LIQO, dryRun(await copy(second)));
  await upgraded.stop();
});

Deno.test("the leader publishes again what it injects, whatever is done to that", async (t) => {
  const data = async () => (await cluster.request<{ data?: object }>(CONTRACT)).body.data;
  const before = await data();
  const deeds: Record<string, Request> = {
    deleted: { path: CONTRACT, method: "DELETE" },
    emptied: patch(CONTRACT, { data: null }),
    "another script": patch(CONTRACT, { data: { "init-script-0": "true" } }),
    "another image besides": patch(CONTRACT, { data: { "init-image-1": "localhost/evil:1" } }),
  };
  for (const [name, deed] of Object.entries(deeds)) {
    await t.step(name, async () => {
      await doors.passes(ADMINISTRATOR, deed);
      await until(async () => JSON.stringify(await data()) === JSON.stringify(before) || undefined, {
        ms: 5_000,
        what: "what was published before",
      });
      await create(`after-${name.replaceAll(" ", "-")}`);
    });
  }
});
