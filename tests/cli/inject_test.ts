import assert from "node:assert/strict";
import type { Namespace, Pod, PodSpec } from "kubernetes-types/core/v1.d.ts";
import { parseAllDocuments, stringify } from "yaml";
import { run } from "../../lib/cli/inject.ts";
import { decide, decodeReview, encodeReview } from "../../lib/core/admission.ts";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { PreparedTemplate } from "../../lib/core/injection.ts";
import { labels, liqo } from "../../lib/core/names.ts";
import { namespaceFacts, namespacePolicy } from "../../lib/core/namespace_policy.ts";
import { applyPatch } from "../support/json_patch.ts";
import { type Outcome, runVerb } from "../support/run_verb.ts";
import { testSettings } from "../support/settings.ts";

type Workload = { kind: string; metadata?: object; spec: Record<string, unknown> };

const RESOLVERS = "--resolvers=10.96.0.10";
const spec: PodSpec = { containers: [{ name: "app", image: "localhost/app:1" }] };
const pod = (name = "a", more: Partial<Pod> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "trial" },
  spec,
  ...more,
});
const namespace = (name = "trial", more: Record<string, string> = {}): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: { [liqo.remoteClusterId]: "pharma", ...more } },
});

const stream = (...objects: unknown[]) => objects.map((object) => stringify(object)).join("---\n");
const documents = (text: string) => parseAllDocuments(text).map((document) => document.toJS());

/** Injects documents given on standard input. */
function inject(text: string, flags: string[] = [RESOLVERS]): Promise<Outcome> {
  return runVerb(run, ["-f", "-", ...flags], { files: { "-": text } });
}

/** What comes out, where nothing is refused. */
async function injected<T>(...objects: unknown[]): Promise<T[]> {
  const { code, stdout, stderr } = await inject(stream(...objects));
  assert.deepEqual([code, stderr], [0, ""]);
  return documents(stdout) as T[];
}

/** What the webhook makes of a pod, by its patch. */
function admitted(pod: Pod, namespaced = namespace("trial")): Pod {
  const facts = namespaceFacts(namespaced);
  const tenant = namespaceFacts({
    metadata: {
      labels: { [liqo.tenantNamespace]: "true", [liqo.remoteClusterId]: facts.labels[liqo.remoteClusterId]! },
    },
  });
  const policy = namespacePolicy(facts, tenant, testSettings());
  const review = decodeReview(new TextEncoder().encode(JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "1",
      kind: { group: "", version: "v1", kind: "Pod" },
      operation: "CREATE",
      namespace: facts.name,
      object: pod,
    },
  })));
  const current = new PreparedTemplate(injectionTemplate(testSettings()));
  const decision = decide(review, { policy, ready: true }, {
    current,
    accepted: [],
  });
  const { response } = JSON.parse(new TextDecoder().decode(encodeReview("1", decision)));
  assert.equal(response.allowed, true, response.status?.message);
  if (response.patch === undefined) return pod;
  return applyPatch(pod, JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(response.patch))));
}

/** A pod as the API server hands it on: its fields of text are left out where they are empty, and defaults are filled in. */
function stored(pod: Pod): Pod {
  const stored = JSON.parse(JSON.stringify(pod, (_, value) => value === "" ? undefined : value)) as Pod;
  for (const container of [...stored.spec!.initContainers!, ...stored.spec!.containers]) {
    container.terminationMessagePath ??= "/dev/termination-log";
    container.terminationMessagePolicy ??= "File";
  }
  return stored;
}

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
  const { stdout } = await inject(`${configMap}---\n${stringify(pod())}---\n${other}`);
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

Deno.test("inject twice is inject once", async () => {
  const first = await inject(stream(namespace(), pod(), { ...pod("b"), metadata: { name: "b", namespace: "other" } }));
  const second = await inject(first.stdout);
  assert.deepEqual(second, first);
});

Deno.test("inject that refuses anything prints nothing but a line for each violation", async (t) => {
  const hostile = (securityContext: object) => ({ containers: [{ name: "app", image: "x", securityContext }] });
  const table: [name: string, objects: unknown[], lines: RegExp[]][] = [
    [
      "a pod, beside one that is right",
      [pod(), pod("evil", { spec: hostile({ privileged: true, runAsUser: 0 }) })],
      [
        /^Pod\/evil: spec\.containers\[0\]\.securityContext\.runAsUser: must be a user id other than 0/,
        /^Pod\/evil: spec\.containers\[0\]\.securityContext\.runAsNonRoot: must be true$/,
        /^Pod\/evil: spec\.containers\[0\]\.securityContext\.privileged: must be false$/,
      ],
    ],
    [
      "a workload: the field as it stands in it",
      [{
        apiVersion: "batch/v1",
        kind: "CronJob",
        metadata: { name: "nightly", namespace: "trial" },
        spec: { jobTemplate: { spec: { template: { spec: hostile({ allowPrivilegeEscalation: true }) } } } },
      }],
      [/^CronJob\/nightly: spec\.jobTemplate\.spec\.template\.spec\.containers\[0\]\.securityContext\.allowPrivilegeEscalation: must be false$/],
    ],
    ["an item of a list", [{
      apiVersion: "v1",
      kind: "List",
      items: [pod("evil", { spec: hostile({ runAsNonRoot: false }) })],
    }], [
      /^Pod\/evil: spec\.containers\[0\]\.securityContext\.runAsNonRoot: must be true$/,
    ]],
    ["a name that the API server makes", [{
      ...pod(),
      metadata: { generateName: "gen-" },
      spec: hostile({ privileged: true }),
    }], [
      /^Pod\/gen-: /,
    ]],
    ["a field of the wrong type", [pod("odd", { spec: { containers: "none" } as unknown as PodSpec })], [
      /^Pod\/odd: spec\.containers must be a list$/,
    ]],
    ["no spec, in a template", [{
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d" },
      spec: { template: {} },
    }], [
      /^Deployment\/d: spec\.template\.spec is missing$/,
    ]],
    ["a name that would break the line", [pod("a\nb\u001b[2J", { spec: hostile({ privileged: true }) })], [
      /^Pod\/a\?b\?\[2J: spec\.containers\[0\]\.securityContext\.privileged: must be false$/,
    ]],
  ];
  for (const [name, objects, expected] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await inject(stream(...objects));
      const lines = stderr.split("\n").slice(0, -1);
      assert.deepEqual([code, stdout, lines.length], [1, "", expected.length], stderr);
      lines.forEach((line, i) => assert.match(line, expected[i]!));
    });
  }
});

Deno.test("inject says which resolvers it takes where none are given", async () => {
  const { code, stdout, stderr } = await inject(stream(namespace(), pod()), []);
  assert.equal(code, 0);
  assert.equal(stderr, "Note: --resolvers is missing; 10.96.0.10 stands for the cluster's DNS\n");
  assert.deepEqual(documents(stdout)[1], admitted(pod()));
  const given = await runVerb(run, ["-f", "-"], { files: { "-": stream(pod()) }, env: { RESOLVERS: "10.0.0.1" } });
  assert.equal(given.stderr, "");
  assert.match(given.stdout, /resolvers=10\.0\.0\.1$/m);
});

Deno.test("inject refuses wrong usage with code 2 and prints nothing", async (t) => {
  const table: [name: string, args: string[], message: RegExp][] = [
    ["no file", [], /^Cannot inject: -f FILE is missing; - reads standard input\n$/],
    ["a file that is not there", ["-f", "gone.yaml"], /^Cannot read "gone\.yaml": No such file\n$/],
    ["a file that is no YAML", ["-f", "bad.yaml"], /^Cannot read "bad\.yaml": document 2: /],
    [
      "an unknown flag",
      ["-f", "-", "--what"],
      /^Cannot read the command line: Unknown option '--what'; --help lists the flags\n$/,
    ],
    ["a stray argument", ["a.yaml"], /^Cannot read the command line: Unexpected argument 'a\.yaml'; /],
    ["a setting that is wrong", ["-f", "-", "--resolvers=dns"], /^Cannot use --resolvers "dns": must be IPv4 or IPv6/],
    [
      "a consumer that is no cluster id",
      ["-f", "-", "--consumer=a b"],
      /^Cannot use --consumer "a b": must be a cluster id/,
    ],
    [
      "a label that is no text",
      ["-f", "label.yaml"],
      /^Cannot use Namespace "trial": its label data-space\/apply-webhook must be text, so put "false" in quotes\n$/,
    ],
  ];
  const label = "apiVersion: v1\nkind: Namespace\nmetadata: {name: trial, labels: {data-space/apply-webhook: false}}\n";
  const files = { "-": stream(pod()), "bad.yaml": "a: 1\n---\na: b: c\n", "label.yaml": label };
  for (const [name, args, message] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await runVerb(run, args, { files });
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
    });
  }
});
