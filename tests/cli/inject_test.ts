import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { run } from "../../lib/cli/inject.ts";
import { labels, liqo } from "../../lib/core/names.ts";
import { runVerb } from "../support/run_verb.ts";
import {
  admitted,
  documents,
  inject,
  injected,
  namespace,
  pod,
  RESOLVERS,
  spec,
  stored,
  stream,
} from "./offline_pods.ts";

type Workload = { kind: string; metadata?: object; spec: Record<string, unknown> };

Deno.test("inject gives what the webhook makes of a pod, and the webhook leaves that as it is", async (t) => {
  const [liqoPod] = documents(await Deno.readTextFile(new URL("../testdata/liqo_pod.yaml", import.meta.url)));
  const plain = pod("plain", { metadata: { name: "plain", namespace: "trial", labels: { a: "b" } } });
  const rich = pod("rich", {
    spec: {
      ...spec,
      initContainers: [{ name: "first", image: "localhost/first:1", securityContext: { runAsUser: 7 } }],
      securityContext: { fsGroup: 21337 },
      volumes: [{ name: "tmp", emptyDir: {} }],
      ...{ newerField: { kept: true } },
    },
  });
  for (const before of [plain, rich, { ...liqoPod, metadata: { ...liqoPod.metadata, namespace: "trial" } }] as Pod[]) {
    await t.step(before.metadata!.name!, async () => {
      const [, after] = await injected<Pod>(namespace(), before);
      assert.deepEqual(after, admitted(before));
      assert.equal(after!.spec?.initContainers?.[1]?.name, "data-space-proxy");
      assert.deepEqual(admitted(after!), after);
      assert.deepEqual(admitted(stored(after!)), stored(after!));
    });
  }
});

Deno.test("inject makes the templates of all workloads as the webhook makes their pods", async (t) => {
  const template = { metadata: { labels: { app: "a" } }, spec };
  const made = admitted({ metadata: template.metadata, spec });
  const workload = (kind: string, apiVersion: string, spec: Workload["spec"]): [string, Workload] => [
    kind,
    { apiVersion, kind, metadata: { name: "w", namespace: "trial" }, spec } as Workload,
  ];
  const table = [
    workload("Deployment", "apps/v1", { replicas: 3, template }),
    workload("StatefulSet", "apps/v1", { serviceName: "s", template }),
    workload("DaemonSet", "apps/v1", { template }),
    workload("ReplicaSet", "apps/v1", { template }),
    workload("ReplicationController", "v1", { template }),
    workload("Job", "batch/v1", { backoffLimit: 1, template }),
    workload("CronJob", "batch/v1", { schedule: "@daily", jobTemplate: { spec: { parallelism: 2, template } } }),
  ];
  for (const [kind, before] of table) {
    await t.step(kind, async () => {
      const [, after] = await injected<Workload>(namespace(), before);
      const expected = structuredClone(before);
      const holder = kind === "CronJob" ? (expected.spec.jobTemplate as Workload).spec : expected.spec;
      holder.template = made;
      assert.deepEqual(after, expected);
    });
  }
  await t.step("a template without metadata", async () => {
    const [, after] = await injected<Workload>(namespace(), workload("Job", "batch/v1", { template: { spec } })[1]);
    assert.deepEqual(after!.spec.template, admitted({ spec }));
  });
  await t.step("kinds of that name in other groups are left alone", async () => {
    const [, before] = workload("Job", "batch.volcano.sh/v1alpha1", { template });
    assert.deepEqual(await injected(namespace(), before), [namespace(), before]);
  });
});

Deno.test("inject makes the items of a List, also of a typed one", async (t) => {
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "s" }, spec: { ports: [] } };
  await t.step("List", async () => {
    const list = { apiVersion: "v1", kind: "List", metadata: {}, items: [namespace(), pod(), service] };
    const [after] = await injected<typeof list>(list);
    assert.deepEqual(after, { ...list, items: [namespace(), admitted(pod()), service] });
  });
  await t.step("PodList, whose items do not say what they are", async () => {
    const { apiVersion: _, kind: __, ...bare } = pod();
    const [, after] = await injected<{ items: Pod[] }>(namespace(), {
      apiVersion: "v1",
      kind: "PodList",
      items: [bare],
    });
    assert.deepEqual(after!.items, [admitted(bare)]);
  });
});

Deno.test("inject keeps the order of a stream and the text of every other document", async () => {
  const configMap = "# ours\napiVersion: v1\nkind: ConfigMap\nmetadata: {name:   odd}\ndata:\n  mode: 0644 # octal\n";
  const other = "kind: Widget\nspec: [1,2,   3]\n";
  const { stdout } = await inject(`${configMap}---\n${stream(pod())}---\n${other}`);
  const [first, second, third, ...more] = stdout.split("---\n");
  assert.deepEqual([first, third, more], [configMap, other, []]);
  assert.deepEqual(documents(second!)[0], admitted(pod(), namespace("trial", { [liqo.remoteClusterId]: "consumer" })));
});

Deno.test("inject takes a pod's namespace from the stream, wherever it stands", async (t) => {
  const proxyOf = (pod: Pod | undefined) => pod?.spec?.initContainers?.[1];
  const consumerOf = (pod: Pod | undefined) => proxyOf(pod)?.env?.find(({ name }) => name === "CONSUMER_ID")?.value;
  const only = (documents: unknown[]) => documents.find((d) => (d as Pod).kind === "Pod") as Pod;
  const profiled = namespace("trial", { [labels.runAsUser]: "4711" });

  await t.step("before the pod", async () => {
    const after = only(await injected(profiled, pod()));
    assert.equal(after.spec?.containers[0]?.securityContext?.runAsUser, 4711);
    assert.equal(consumerOf(after), "pharma");
  });
  await t.step("behind the pod, and in a list", async () => {
    const list = { apiVersion: "v1", kind: "List", items: [profiled] };
    assert.deepEqual(only(await injected(pod(), list)), only(await injected(profiled, pod())));
  });
  await t.step("not offloaded: unchanged", async () => {
    const home = { ...namespace(), metadata: { name: "trial", labels: { a: "b" } } };
    assert.deepEqual(await injected(pod(), home), [pod(), home]);
  });
  await t.step("Liqo's tenant namespace: unchanged", async () => {
    const tenant = namespace("trial", { [liqo.tenantNamespace]: "true" });
    assert.deepEqual(await injected(pod(), tenant), [pod(), tenant]);
  });
  await t.step("opted out: unchanged, even what the rules refuse", async () => {
    const out = namespace("trial", { [labels.applyWebhook]: "false" });
    const hostile = pod("hostile", { spec: { containers: [{ name: "data-space-x", image: "x" }] } });
    assert.deepEqual(await injected(out, pod(), hostile), [out, pod(), hostile]);
  });
  await t.step("not there: --consumer, or consumer", async () => {
    assert.equal(consumerOf(only(await injected(pod()))), "consumer");
    const { stdout } = await inject(stream(pod()), [RESOLVERS, "--consumer", "bank"]);
    assert.equal(consumerOf(documents(stdout)[0]), "bank");
  });
  await t.step("a pod without one is in default", async () => {
    const bare = pod("bare", { metadata: { name: "bare" } });
    assert.deepEqual(await injected(bare, { ...namespace("default"), metadata: { name: "default" } }).then(only), bare);
    assert.notDeepEqual(await injected(bare, namespace()).then(only), bare);
  });
  await t.step("a spoofed one gets the strictest policy, and a warning", async () => {
    const spoofed = namespace("trial", { [liqo.remoteClusterId]: "bank", [labels.podProfile]: "root" });
    spoofed.metadata!.annotations = { [liqo.namespaceMap]: "liqo-tenant-pharma/hospital" };
    const tenant = namespace("liqo-tenant-pharma", { [liqo.tenantNamespace]: "true" });
    const root = pod("root", { spec: { containers: [{ name: "a", image: "b", securityContext: { runAsUser: 0 } }] } });
    const { code, stderr } = await inject(stream(spoofed, tenant, root));
    assert.equal(code, 1);
    assert.match(stderr, /^Warning: Namespace\/trial: Label liqo\.io\/remote-cluster-id claims consumer "bank", but /m);
    assert.match(
      stderr,
      /^Pod\/root: spec\.containers\[0\]\.securityContext\.runAsUser: must be a user id other than 0/m,
    );
  });
});

Deno.test("inject gives JSON for JSON", async (t) => {
  await t.step("one document", async () => {
    const { stdout } = await inject(JSON.stringify(pod()), [RESOLVERS, "--consumer=pharma"]);
    assert.deepEqual(JSON.parse(stdout), admitted(pod()));
  });
  await t.step("documents one after the other, without separators that JSON does not know", async () => {
    const { stdout } = await inject(`${JSON.stringify(namespace())}${JSON.stringify(pod())}`);
    assert.ok(stdout.startsWith(`${JSON.stringify(namespace())}\n{`));
    assert.deepEqual(JSON.parse(stdout.slice(stdout.indexOf("\n"))), admitted(pod()));
  });
});

Deno.test("inject reads several files in order", async () => {
  const files = { a: stream(pod()), b: stream(namespace()) };
  const { stdout } = await runVerb(run, ["-f", "a", "--filename", "b", RESOLVERS], { files });
  assert.deepEqual(documents(stdout), [admitted(pod()), namespace()]);
});

Deno.test("inject says where it had nothing to do, on standard error alone", async (t) => {
  const out = namespace("trial", { [labels.applyWebhook]: "false" });
  const table: [name: string, objects: unknown[], says: boolean][] = [
    ["no pod", [namespace()], true],
    ["no document", [], true],
    ["pods of other namespaces alone", [out, pod()], true],
    ["a pod", [namespace(), pod()], false],
    ["a pod that is injected already", [namespace(), admitted(pod())], false],
  ];
  for (const [name, objects, says] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await inject(stream(...objects));
      assert.equal(code, 0);
      assert.equal(documents(stdout).length, objects.length);
      assert.match(stderr, says ? /^Note: nothing to inject: the stream holds no pod .*\n$/ : /^$/);
    });
  }
});

Deno.test("inject twice is inject once", async () => {
  const first = await inject(stream(namespace(), pod(), { ...pod("b"), metadata: { name: "b", namespace: "other" } }));
  const second = await inject(first.stdout);
  assert.deepEqual(second, first);
  // Nothing is to be done, so even what YAML does not say is kept.
  const commented = first.stdout.replace("spec:", "spec: # by hand");
  assert.deepEqual((await inject(commented)).stdout, commented);
});
