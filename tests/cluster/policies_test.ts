import assert from "node:assert/strict";
import { type Identity, startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { consumer, LIQO, Liqo, liqoPod } from "./liqo.ts";
import { ADMINISTRATOR, apply, type Attempt, CLERK, Doors, patch, type Request } from "./policies.ts";

const PHARMA = consumer("pharma");
const SUPPORT: Identity = { as: "support", asGroups: ["clerks", "system:authenticated"] };
const PUBLISHER: Identity = { as: "publisher", asGroups: ["clerks", "system:authenticated"] };

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
const doors = await Doors.create(cluster);
await liqo.createTenantNamespace("pharma");
await liqo.createTenantNamespace("bank");
// Published before we came.
await liqo.createOffloadedNamespace("early-pharma");
const dataSpacer = await startDataSpacer(cluster);

await liqo.createOffloadedNamespace("trial-pharma");
await liqo.createOffloadedNamespace("free-pharma", { labels: { "data-space/apply-webhook": "false" } });
await liqo.createOffloadedNamespace("open-pharma", { labels: { "data-space/allow-publish": "true" } });
await liqo.createOffloadedNamespace("maybe-pharma", { labels: { "data-space/allow-publish": "yes" } });
// Its label names the bank, but it is pharma that has rights there: its group is not the label's value.
await liqo.createOffloadedNamespace("spoofed", { claims: "bank" });
await doors.grantIn("spoofed", "liqo-virtual-kubelet-remote", { kind: "Group", name: "pharma" });
await doors.grantIn("trial-pharma", "data-spacer-exception", { kind: "User", name: "support" });
await doors.grant(
  "publishing",
  [{ apiGroups: ["data-spacer.provider"], resources: ["exceptions"], resourceNames: ["services"], verbs: ["use"] }],
  { kind: "User", name: "publisher" },
);
await doors.inForce("trial-pharma");

for (const namespace of ["trial-pharma", "spoofed", "free-pharma"]) {
  const answer = await liqo.createPod(await liqoPod(namespace, "one"), { retryMs: 10_000 });
  assert.ok(answer.created, JSON.stringify(answer));
}

const inNamespace = (namespace: string) => `/api/v1/namespaces/${namespace}`;
const CONFIG = "data-space-envoy-config";

/** A CONNECT, which gets no further than that there is no node. */
function connect(path: string, query = "", method = "POST"): Request {
  return { path: `${path}?${query}`, method, connects: true };
}

const CONNECTED = { fails: /^pod one does not have a host assigned$/ };

function exec(): Attempt[] {
  const REFUSED = { refusedBy: "exec" };
  return ["exec", "attach"].flatMap((verb): Attempt[] => {
    const to = (namespace: string, container: string, method?: string) =>
      connect(`${inNamespace(namespace)}/pods/one/${verb}`, `command=sh&stdout=true${container}`, method);
    return [
      [`consumer: ${verb}, proxy`, PHARMA, to("trial-pharma", "&container=data-space-proxy"), REFUSED],
      [`consumer: ${verb}, init container`, PHARMA, to("trial-pharma", "&container=data-space-init"), REFUSED],
      [`spoofing consumer: ${verb}, proxy`, PHARMA, to("spoofed", "&container=data-space-proxy"), REFUSED],
      [`clerk: ${verb}, proxy, by WebSocket`, CLERK, to("trial-pharma", "&container=data-space-proxy", "GET"), REFUSED],
      [`consumer: ${verb}, its own container`, PHARMA, to("trial-pharma", "&container=app"), CONNECTED],
      [`consumer: ${verb}, no container named`, PHARMA, to("trial-pharma", ""), CONNECTED],
      [`spoofing consumer: ${verb}, its own container`, PHARMA, to("spoofed", "&container=app"), CONNECTED],
      [`administrator: ${verb}, proxy`, ADMINISTRATOR, to("trial-pharma", "&container=data-space-proxy"), CONNECTED],
      [`support, by exception: ${verb}, proxy`, SUPPORT, to("trial-pharma", "&container=data-space-proxy"), CONNECTED],
      [`support, elsewhere: ${verb}, proxy`, SUPPORT, to("spoofed", "&container=data-space-proxy"), REFUSED],
    ];
  });
}

function portForward(): Attempt[] {
  const REFUSED = { refusedBy: "port-forward" };
  const forward = (namespace: string, method?: string) =>
    connect(`${inNamespace(namespace)}/pods/one/portforward`, "ports=80", method);
  return [
    ["consumer: port-forward", PHARMA, forward("trial-pharma"), REFUSED],
    ["consumer: port-forward, by WebSocket", PHARMA, forward("trial-pharma", "GET"), REFUSED],
    ["consumer: port-forward, pod without the proxy", PHARMA, forward("free-pharma"), REFUSED],
    ["spoofing consumer: port-forward", PHARMA, forward("spoofed"), REFUSED],
    ["administrator: port-forward", ADMINISTRATOR, forward("trial-pharma"), CONNECTED],
    ["clerk: proxy to a pod", CLERK, connect(`${inNamespace("trial-pharma")}/pods/one:80/proxy/x`, "", "GET"), REFUSED],
    ["clerk: proxy to a Service", CLERK, connect(`${inNamespace("trial-pharma")}/services/web:80/proxy/x`), REFUSED],
  ];
}

function configuration(): Attempt[] {
  const REFUSED = { refusedBy: "proxy-configuration" };
  const at = (namespace: string, name = CONFIG) => `${inNamespace(namespace)}/configmaps/${name}`;
  const create = (namespace: string, metadata: object): Request => ({
    path: `${inNamespace(namespace)}/configmaps`,
    body: { metadata, data: { "envoy.yaml": "{}" } },
  });
  const labels = { "offloading.liqo.io/origin": "pharma", "offloading.liqo.io/destination": "hospital" };
  const applied = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: CONFIG, labels }, data: { a: "b" } };
  const changes = (namespace: string): [string, Request][] => [
    ["a key", patch(at(namespace), { data: { "lds.json": "{}" } })],
    ["an apply, as its virtual kubelet does", apply(at(namespace), applied, "virtual-kubelet")],
    ["a label", patch(at(namespace), { metadata: { labels } })],
    ["a finalizer", patch(at(namespace), { metadata: { finalizers: ["example.com/hold"] } })],
    ["immutable", patch(at(namespace), { immutable: true })],
    ["replaced", { path: at(namespace), method: "PUT", body: applied }],
    ["deleted", { path: at(namespace), method: "DELETE" }],
  ];
  return [
    ...changes("trial-pharma").map(([what, request]): Attempt => [`consumer: ${what}`, PHARMA, request, REFUSED]),
    ...changes("spoofed").map(([what, request]): Attempt => [`spoofing consumer: ${what}`, PHARMA, request, REFUSED]),
    ...changes("trial-pharma").map((
      [what, request],
    ): Attempt => [`clerk: ${what}`, CLERK, request, REFUSED]),
    ...changes("trial-pharma").map(([what, request]): Attempt => [
      `administrator: ${what}`,
      ADMINISTRATOR,
      request,
      "passes",
    ]),
    ["consumer: the name taken where it is free", PHARMA, create("free-pharma", { name: CONFIG }), REFUSED],
    ["clerk: all of them deleted at once", CLERK, {
      path: `${inNamespace("trial-pharma")}/configmaps`,
      method: "DELETE",
    }, REFUSED],
    ["consumer: another name", PHARMA, create("trial-pharma", { name: `${CONFIG}-2` }), "passes"],
    ["consumer: a generated name", PHARMA, create("trial-pharma", { generateName: `${CONFIG}` }), "passes"],
    ["clerk: the name in a namespace that is not offloaded", CLERK, create("default", { name: CONFIG }), "passes"],
    ["clerk: the name in a tenant namespace", CLERK, create("liqo-tenant-pharma", { name: CONFIG }), "passes"],
  ];
}

const ports = [{ port: 80 }];
const service = (namespace: string, spec: object, name = "new"): Request => ({
  path: `${inNamespace(namespace)}/services`,
  body: { metadata: { name }, spec },
});
const at = (name: string, namespace = "early-pharma") => `${inNamespace(namespace)}/services/${name}`;
const PUBLISHED: [string, object][] = [
  ["NodePort", { type: "NodePort", ports }],
  ["LoadBalancer", { type: "LoadBalancer", ports }],
  ["ExternalName", { type: "ExternalName", externalName: "evil.example" }],
  ["external IPs", { ports, externalIPs: ["192.0.2.1"] }],
];
await cluster.call(service("trial-pharma", { ports }, "web").path, {
  ...PHARMA,
  body: service("", { ports }, "web").body,
});
for (const name of ["published", "leaving"]) {
  const metadata = { name, finalizers: name === "leaving" ? ["service.kubernetes.io/load-balancer-cleanup"] : [] };
  await cluster.call(`${inNamespace("early-pharma")}/services`, {
    body: { metadata, spec: { type: "LoadBalancer", ports } },
  });
}
await cluster.call(at("leaving"), { method: "DELETE" });

function services(): Attempt[] {
  const REFUSED = { refusedBy: "services" };
  return [
    ...PUBLISHED.flatMap(([type, spec]): Attempt[] => [
      [`consumer: a new ${type}`, PHARMA, service("trial-pharma", spec), REFUSED],
      [`consumer: changed to ${type}`, PHARMA, patch(at("web", "trial-pharma"), { spec }), REFUSED],
      [`consumer: ${type}, the label is not exactly true`, PHARMA, service("maybe-pharma", spec), REFUSED],
      [`spoofing consumer: ${type}`, PHARMA, service("spoofed", spec), REFUSED],
      [`clerk: ${type}`, CLERK, service("trial-pharma", spec), REFUSED],
      [`consumer: ${type} where the provider allows it`, PHARMA, service("open-pharma", spec), "passes"],
      [`administrator: ${type}`, ADMINISTRATOR, service("trial-pharma", spec), "passes"],
      [`publisher, by exception: ${type}`, PUBLISHER, service("trial-pharma", spec), "passes"],
      [`clerk: ${type} in a namespace that is not offloaded`, CLERK, service("default", spec), "passes"],
    ]),
    ["consumer: ClusterIP", PHARMA, service("trial-pharma", { ports }), "passes"],
    ["consumer: headless", PHARMA, service("trial-pharma", { ports, clusterIP: "None" }), "passes"],
    ["consumer: another port", PHARMA, patch(at("web", "trial-pharma"), { spec: { ports: [{ port: 81 }] } }), "passes"],
    [
      "consumer: a label on one published before",
      PHARMA,
      patch(at("published"), { metadata: { labels: { a: "b" } } }),
      "passes",
    ],
    ["consumer: another port of that", PHARMA, patch(at("published"), { spec: { ports: [{ port: 81 }] } }), REFUSED],
    [
      "consumer: an annotation on that, which may publish more",
      PHARMA,
      patch(at("published"), { metadata: { annotations: { "example.com/internal": "false" } } }),
      REFUSED,
    ],
    [
      "consumer: that not published any more",
      PHARMA,
      patch(at("published"), { spec: { type: "ClusterIP" } }),
      "passes",
    ],
    ["consumer: that deleted", PHARMA, { path: at("published"), method: "DELETE" }, "passes"],
    [
      "the last finalizer taken off one that goes",
      CLERK,
      patch(at("leaving"), { metadata: { finalizers: null, annotations: { note: "gone" } } }),
      "passes",
    ],
  ];
}

const ingressesOf = (namespace: string) => `/apis/networking.k8s.io/v1/namespaces/${namespace}/ingresses`;
const ingress = {
  metadata: { name: "new" },
  spec: { defaultBackend: { service: { name: "web", port: { number: 80 } } } },
};
await cluster.call(ingressesOf("early-pharma"), { body: ingress });

function ingresses(): Attempt[] {
  const REFUSED = { refusedBy: "ingresses" };
  const before = `${ingressesOf("early-pharma")}/new`;
  const create = (namespace: string): Request => ({ path: ingressesOf(namespace), body: ingress });
  return [
    ["consumer", PHARMA, create("trial-pharma"), REFUSED],
    ["spoofing consumer", PHARMA, create("spoofed"), REFUSED],
    ["clerk", CLERK, create("trial-pharma"), REFUSED],
    ["publisher, whose exception is another", PUBLISHER, create("trial-pharma"), REFUSED],
    ["consumer, where the provider allows it", PHARMA, create("open-pharma"), "passes"],
    ["administrator", ADMINISTRATOR, create("trial-pharma"), "passes"],
    ["clerk, in a namespace that is not offloaded", CLERK, create("default"), "passes"],
    ["consumer: a label on one from before", PHARMA, patch(before, { metadata: { labels: { a: "b" } } }), "passes"],
    [
      "consumer: an annotation on that",
      PHARMA,
      patch(before, { metadata: { annotations: { "nginx.ingress.kubernetes.io/configuration-snippet": "x" } } }),
      REFUSED,
    ],
    ["consumer: another path of that", PHARMA, patch(before, { spec: { ingressClassName: "other" } }), REFUSED],
    ["consumer: that deleted", PHARMA, { path: before, method: "DELETE" }, "passes"],
  ];
}

await cluster.call("/api/v1/namespaces", { body: { metadata: { name: "own" } } });

function namespaceLabels(): Attempt[] {
  const REFUSED = { refusedBy: "namespace-labels" };
  const namespace = (name = "trial-pharma", subresource = "") => `/api/v1/namespaces/${name}${subresource}`;
  const labels = (labels: Record<string, string | null>) => ({ metadata: { labels } });
  const guarded: [string, Record<string, string | null>][] = [
    ["another consumer", { "liqo.io/remote-cluster-id": "bank" }],
    ["no consumer", { "liqo.io/remote-cluster-id": null }],
    ["a tenant's label", { "liqo.io/tenant-namespace": "true" }],
    ["a tenant's label of Liqo v0", { "discovery.liqo.io/tenant-namespace": "true" }],
    ["a tenant's id of Liqo v0", { "discovery.liqo.io/cluster-id": "pharma" }],
    ["no webhook", { "data-space/apply-webhook": "false" }],
    ["no NetworkPolicy", { "data-space/apply-netpol": "false" }],
    ["publishing", { "data-space/allow-publish": "true" }],
    ["a label of ours yet unknown", { "data-space/x": "y" }],
  ];
  const map = { metadata: { annotations: { "liqo.io/managed-by-namespace-map": "liqo-tenant-bank/hospital" } } };
  return [
    ...guarded.flatMap(([what, change]): Attempt[] => [
      [`clerk: ${what}`, CLERK, patch(namespace(), labels(change)), REFUSED],
      [`Liqo: ${what}`, LIQO, patch(namespace(), labels(change)), REFUSED],
      [
        `clerk: ${what}, by way of the status`,
        CLERK,
        patch(namespace("trial-pharma", "/status"), labels(change)),
        REFUSED,
      ],
      [`administrator: ${what}`, ADMINISTRATOR, patch(namespace(), labels(change)), "passes"],
    ]),
    [
      "clerk: an opt-out taken back",
      CLERK,
      patch(namespace("free-pharma"), labels({ "data-space/apply-webhook": null })),
      REFUSED,
    ],
    ["clerk: another label with it", CLERK, patch(namespace(), labels({ a: "b", "data-space/x": "y" })), REFUSED],
    ["clerk: the origin", CLERK, patch(namespace(), map), REFUSED],
    ["clerk: no label at all", CLERK, patch(namespace(), { metadata: { labels: null } }), REFUSED],
    [
      "clerk: another namespace made an offloaded one",
      CLERK,
      patch(namespace("own"), labels({ "liqo.io/remote-cluster-id": "pharma" })),
      REFUSED,
    ],
    [
      "clerk: a tenant namespace made an offloaded one",
      CLERK,
      patch(namespace("liqo-tenant-pharma"), labels({ "liqo.io/tenant-namespace": null })),
      REFUSED,
    ],
    ["clerk: other labels", CLERK, patch(namespace(), labels({ team: "blue", "liqo.io/other": "x" })), "passes"],
    ["clerk: other annotations", CLERK, patch(namespace(), { metadata: { annotations: { note: "x" } } }), "passes"],
    [
      "clerk: our label on a namespace of the provider's",
      CLERK,
      patch(namespace("own"), labels({ "data-space/netpol-allow": "true" })),
      "passes",
    ],
    ["Liqo: a new namespace", LIQO, {
      path: "/api/v1/namespaces",
      body: { metadata: { name: "new", ...labels(guarded[0]![1]).metadata } },
    }, "passes"],
    ["Liqo: a namespace deleted", LIQO, { path: namespace(), method: "DELETE" }, "passes"],
    ["support, by exception", SUPPORT, patch(namespace(), labels(guarded[0]![1])), "passes"],
    ["support, elsewhere", SUPPORT, patch(namespace("spoofed"), labels(guarded[1]![1])), REFUSED],
  ];
}

const tables: Record<string, () => Attempt[]> = {
  "nobody gets into our containers, and a consumer gets into its own": exec,
  "nobody forwards ports into a pod": portForward,
  "nobody but us writes Envoy's configuration": configuration,
  "Services are published only where the provider says so": services,
  "Ingresses are published only where the provider says so": ingresses,
  "whose a namespace is and what holds in it changes by the provider's word alone": namespaceLabels,
};

for (const [name, attempts] of Object.entries(tables)) Deno.test(name, (t) => doors.try(t, attempts()));
for (const [name, attempts] of Object.entries(tables)) {
  Deno.test(`${name}, also while no replica runs`, async (t) => {
    await dataSpacer.replica.kill();
    await doors.try(t, attempts());
  });
}
