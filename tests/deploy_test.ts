import assert from "node:assert/strict";
import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import type { Deployment } from "kubernetes-types/apps/v1.d.ts";
import type { Namespace, Service, ServiceAccount } from "kubernetes-types/core/v1.d.ts";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.d.ts";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.d.ts";
import type { Role, RoleBinding } from "kubernetes-types/rbac/v1.d.ts";
import * as v from "valibot";
import { parse } from "yaml";
import config from "../deno.json" with { type: "json" };
import { CONFIG_FOLDER } from "../deploy/runtime_flags.ts";
import { exception, labels, liqo, MUTATE_PATH, PRODUCT, WEBHOOK } from "../lib/core/names.ts";
import { options } from "../lib/core/options.ts";
import { parseSettings } from "../lib/core/parse_settings.ts";
import { parseQuantity } from "../lib/core/quantity.ts";
import { all, BASE, documents, type Manifest, only, yamlFiles } from "./support/manifests.ts";
import { readFile } from "./support/tree.ts";

const CERT_MANAGER = "deploy/overlays/cert-manager";

const settings = parseSettings({});
const deployment = only<Deployment>("Deployment");
const pod = deployment.spec!.template.spec!;
const container = pod.containers[0]!;
const webhook = only<MutatingWebhookConfiguration>("MutatingWebhookConfiguration").webhooks![0]!;
const port = (name: string) => container.ports!.find((port) => port.name === name)!.containerPort;

Deno.test("every folder lists its files, and a file of the base holds one kind", () => {
  for (const file of yamlFiles.filter((file) => file.endsWith("/kustomization.yaml"))) {
    const folder = file.slice(0, file.lastIndexOf("/"));
    const kustomization = documents.get(file)![0] as unknown as {
      resources?: string[];
      patches?: { path?: string }[];
    };
    const listed = [
      ...kustomization.resources ?? [],
      ...(kustomization.patches ?? []).flatMap(({ path }) => path ?? []),
    ];
    const present = yamlFiles.filter((other) => other.startsWith(`${folder}/`) && other !== file);
    const own = listed.filter((path) => path.endsWith(".yaml")).map((path) => `${folder}/${path}`);
    assert.deepEqual(own.sort(), present, folder);
  }
  for (const file of yamlFiles.filter((file) => file.startsWith(`${BASE}/`))) {
    assert.equal(new Set(documents.get(file)!.map(({ kind }) => kind)).size, 1, file);
  }
});

Deno.test("what can refuse a pod is the first to come and the first to go", () => {
  const { resources, sortOptions } = documents.get(`${BASE}/kustomization.yaml`)![0] as unknown as {
    resources: string[];
    sortOptions: unknown;
  };
  assert.deepEqual(sortOptions, { order: "fifo" });
  const refuses = resources.map((file) => documents.get(`${BASE}/${file}`)![0]!.apiVersion.startsWith("admission"));
  assert.deepEqual(refuses, refuses.toSorted((a, b) => Number(b) - Number(a)));
  assert.equal(resources[refuses.indexOf(false)], "namespace.yaml");
});

Deno.test("names are those that the program looks for", () => {
  assert.equal(only<Namespace>("Namespace").metadata.name, settings.namespace);
  assert.equal(only("Service").metadata.name, settings.serviceName);
  assert.equal(only("MutatingWebhookConfiguration").metadata.name, settings.webhookConfiguration);
  assert.equal(container.name, PRODUCT);
  const account = only<ServiceAccount>("ServiceAccount").metadata;
  assert.equal(pod.serviceAccountName, account.name);
  for (
    const binding of [...all<RoleBinding>("RoleBinding", "deploy"), ...all<RoleBinding>("ClusterRoleBinding", "deploy")]
  ) {
    assert.deepEqual(binding.subjects, [{ kind: "ServiceAccount", name: account.name, namespace: account.namespace }]);
    const role = all<Role>(binding.roleRef.kind, "deploy").find((role) =>
      role.metadata.name === binding.roleRef.name && role.metadata.namespace === binding.metadata.namespace
    );
    assert.ok(role, `${binding.kind} ${binding.metadata.name} binds ${binding.roleRef.name}, which is not there`);
    assert.notEqual(role.metadata.name, exception.role);
  }
  for (const { kind, metadata } of [...documents].filter(([f]) => f.startsWith(BASE)).flatMap(([, m]) => m)) {
    if (metadata?.namespace === undefined) continue;
    assert.ok([settings.namespace, "default"].includes(metadata.namespace), `${kind} ${metadata.name}`);
  }
});

Deno.test("everything that selects our pods selects them", () => {
  const selector = deployment.spec!.selector.matchLabels!;
  assert.deepEqual(deployment.spec!.template.metadata!.labels, selector);
  assert.deepEqual(only<Service>("Service").spec!.selector, selector);
  assert.deepEqual(only<PodDisruptionBudget>("PodDisruptionBudget").spec!.selector!.matchLabels, selector);
  assert.deepEqual(only<NetworkPolicy>("NetworkPolicy").spec!.podSelector.matchLabels, selector);
  const spread = pod.affinity!.podAntiAffinity!.preferredDuringSchedulingIgnoredDuringExecution![0]!;
  assert.deepEqual(spread.podAffinityTerm.labelSelector!.matchLabels, selector);
});

Deno.test("the webhook is asked about pods of offloaded namespaces that have not opted out, and no answer is a no", () => {
  assert.equal(webhook.name, WEBHOOK);
  assert.deepEqual(webhook.namespaceSelector, {
    matchExpressions: [
      { key: liqo.remoteClusterId, operator: "Exists" },
      { key: liqo.tenantNamespace, operator: "DoesNotExist" },
      { key: liqo.tenantNamespaceV0, operator: "DoesNotExist" },
      { key: labels.applyWebhook, operator: "NotIn", values: ["false"] },
    ],
  });
  assert.deepEqual(webhook.rules, [
    { apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"], scope: "Namespaced" },
  ]);
  const { failurePolicy, timeoutSeconds, sideEffects, reinvocationPolicy, matchPolicy, objectSelector } = webhook;
  assert.deepEqual(
    { failurePolicy, timeoutSeconds, sideEffects, reinvocationPolicy, matchPolicy, objectSelector },
    {
      failurePolicy: "Fail",
      timeoutSeconds: 5,
      sideEffects: "None",
      reinvocationPolicy: "IfNeeded",
      matchPolicy: "Equivalent",
      objectSelector: undefined,
    },
  );
});

Deno.test("the webhook's calls arrive where the program listens", () => {
  const { caBundle, service } = webhook.clientConfig;
  assert.equal(caBundle, undefined); // or every apply would undo what `serve` has put there
  const { namespace, name, path } = service!;
  assert.deepEqual({ namespace, name, path }, {
    namespace: settings.namespace,
    name: settings.serviceName,
    path: MUTATE_PATH,
  });
  const servicePort = only<Service>("Service").spec!.ports!.find(({ port }) => port === (service!.port ?? 443))!;
  assert.equal(port(String(servicePort.targetPort)), settings.webhookPort);
});

Deno.test("two replicas keep apart where they can, and one of them is always left", () => {
  assert.equal(deployment.spec!.replicas, 2);
  assert.deepEqual(deployment.spec!.strategy!.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 });
  const { requiredDuringSchedulingIgnoredDuringExecution: required, preferredDuringSchedulingIgnoredDuringExecution } =
    pod.affinity!.podAntiAffinity!;
  assert.equal(required, undefined); // a cluster of one node runs both
  assert.deepEqual(
    preferredDuringSchedulingIgnoredDuringExecution!.map(({ podAffinityTerm: { topologyKey } }) => topologyKey),
    [
      "kubernetes.io/hostname",
    ],
  );
  assert.equal(only<PodDisruptionBudget>("PodDisruptionBudget").spec!.minAvailable, 1);
});

Deno.test("our own container may change nothing on its disk, gain no right, and take no more than it says", () => {
  assert.equal(pod.containers.length, 1);
  assert.equal(pod.initContainers, undefined);
  const { runAsUser, ...security } = container.securityContext!;
  assert.ok(runAsUser! > 0);
  assert.deepEqual(security, {
    runAsGroup: runAsUser,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  assert.deepEqual(pod.securityContext, { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
  assert.equal(pod.volumes, undefined);
  const { requests, limits } = container.resources!;
  for (const resource of ["cpu", "memory"]) {
    const [least, most] = [requests?.[resource], limits?.[resource]].map((quantity) => parseQuantity(quantity ?? ""));
    assert.ok(least! > 0 && most! >= least!, resource);
  }
  const { labels } = only<Namespace>("Namespace").metadata;
  assert.equal(labels!["pod-security.kubernetes.io/enforce"], "restricted");
});

Deno.test("Prometheus finds the metrics, by annotation and by the PodMonitor of the README", async () => {
  assert.deepEqual(deployment.spec!.template.metadata!.annotations, {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": String(settings.opsPort),
    "prometheus.io/path": "/metrics",
  });
  const [, example] = /```yaml\n(apiVersion: monitoring[^]*?)```/.exec(await readFile("README.md"))!;
  const { metadata, spec } = parse(example!);
  assert.equal(metadata.namespace, settings.namespace);
  assert.deepEqual(spec.selector.matchLabels, deployment.spec!.selector.matchLabels);
  assert.deepEqual(spec.podMetricsEndpoints.map((endpoint: { port: string }) => port(endpoint.port)), [
    settings.opsPort,
  ]);
});

Deno.test("probes ask the ops port, and the network policy lets calls and scrapes in, and us to the API server", () => {
  assert.equal(port("ops"), settings.opsPort);
  const { startupProbe, readinessProbe, livenessProbe } = container;
  const get = (path: string) => ({ path, port: "ops" });
  assert.deepEqual(startupProbe!.httpGet, get("/healthz"));
  assert.deepEqual(livenessProbe!.httpGet, get("/healthz"));
  assert.deepEqual(readinessProbe!.httpGet, get("/readyz"));
  const { policyTypes, ingress, egress } = only<NetworkPolicy>("NetworkPolicy").spec!;
  assert.deepEqual(policyTypes, ["Ingress", "Egress"]);
  // No selector names an API server, and its port is the cluster's choice.
  assert.deepEqual(egress, [{ ports: [{ protocol: "TCP" }] }, { ports: [{ port: 53, protocol: "UDP" }] }]);
  const [calls, scrapes, ...others] = ingress!;
  assert.deepEqual(others, []);
  assert.deepEqual(calls, { ports: [{ port: "webhook", protocol: "TCP" }] });
  assert.deepEqual(scrapes, {
    from: [{ namespaceSelector: { matchExpressions: [{ key: liqo.remoteClusterId, operator: "DoesNotExist" }] } }],
    ports: [{ port: "ops", protocol: "TCP" }],
  });
});

Deno.test("every variable is a setting, with a value that is right", () => {
  const containers = all<Deployment>("Deployment", "deploy").flatMap(({ spec }) => spec!.template.spec!.containers);
  assert.equal(containers.length, 4);
  for (const { name, value, valueFrom } of containers.flatMap(({ env = [] }) => env)) {
    const spec = Object.values(options).find(({ env }) => env === name);
    assert.ok(spec, name);
    if (value === undefined) assert.ok(valueFrom?.fieldRef, name);
    else assert.ok(v.is(spec.schema as v.GenericSchema<string, unknown>, value), `${name}: ${value}`);
  }
});

Deno.test("the images of the three roles stand in one place, and are those of this version", async () => {
  const env = (name: string) => container.env!.find((variable) => variable.name === name)?.value;
  assert.equal(env("INIT_IMAGE"), settings.initImage);
  assert.equal(env("PROXY_IMAGE"), settings.proxyImage);
  assert.equal(container.image, settings.initImage.replace(`${PRODUCT}-init`, PRODUCT));
  assert.match(container.image!, new RegExp(`:${config.version.replaceAll(".", "\\.")}$`));
  assert.match(settings.initImage, new RegExp(`:${config.version.replaceAll(".", "\\.")}$`));
  for (const [file, text] of await Promise.all(yamlFiles.map(async (file) => [file, await readFile(file)] as const))) {
    const references = text.match(/[\w.-]+\.(io|com|dev)\/[\w./-]+:[\w.-]+/g) ?? [];
    assert.equal(references.length, file === `${BASE}/deployment.yaml` ? 3 : 0, file);
  }
});

Deno.test("the pod may end in peace: it leaves the Service, then has the time that serve takes to drain", () => {
  const sleep = (container.lifecycle!.preStop as { sleep?: { seconds: number } }).sleep!.seconds;
  assert.ok(sleep >= 3);
  assert.ok(pod.terminationGracePeriodSeconds! >= sleep + 10);
});

Deno.test("cert-manager's certificate is for our Service, and lies where the program may read", () => {
  interface Certificate extends Manifest {
    spec: { secretName: string; dnsNames?: string[]; issuerRef: { name: string } };
  }
  const certificates = all<Certificate>("Certificate", CERT_MANAGER);
  const leaf = certificates.find(({ spec }) => spec.dnsNames)!;
  assert.deepEqual(leaf.spec.dnsNames, [`${settings.serviceName}.${settings.namespace}.svc`]);
  const { annotations } = only("MutatingWebhookConfiguration", CERT_MANAGER).metadata as {
    annotations?: Record<string, string>;
  };
  assert.deepEqual(annotations, {
    "cert-manager.io/inject-ca-from": `${leaf.metadata.namespace}/${leaf.metadata.name}`,
  });
  const spec = only<Deployment>("Deployment", CERT_MANAGER).spec!.template.spec!;
  const [mount] = spec.containers[0]!.volumeMounts!;
  assert.equal(spec.volumes![0]!.secret!.secretName, leaf.spec.secretName);
  assert.ok(mount!.mountPath.startsWith(`${CONFIG_FOLDER}/`));
  assert.deepEqual(spec.containers[0]!.env, [
    { name: options.tlsCertFile.env, value: `${mount!.mountPath}/tls.crt` },
    { name: options.tlsKeyFile.env, value: `${mount!.mountPath}/tls.key` },
  ]);
  const certificateRights = [...all<Role>("Role"), ...all<Role>("ClusterRole")].filter(({ rules }) =>
    rules!.some((rule) => rule.resources!.some((r) => ["secrets", "mutatingwebhookconfigurations"].includes(r)))
  );
  assert.deepEqual(
    new Set(certificateRights.map(({ metadata }) => metadata.name)),
    new Set(["data-spacer-certificates"]),
  );
});
