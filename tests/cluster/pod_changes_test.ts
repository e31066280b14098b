import assert from "node:assert/strict";
import {
  interfaceAnnotations,
  kubeOvnNames,
  kubeOvnOwnNames,
  pluginAnnotations,
} from "../../lib/core/rules/interface_annotations.ts";
import { type Identity, startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { LIQO, Liqo, liqoPod } from "./liqo.ts";
import { ADMINISTRATOR, apply, type Attempt, CLERK, Doors, patch, type Request } from "./policies.ts";
import { chosenRelease } from "./versions.ts";

const PODS = "/api/v1/namespaces/trial-pharma/pods";
const POD = `${PODS}/one`;
const ASKING = `${PODS}/asking`;
const NODE: Identity = { as: "system:node:node-1", asGroups: ["system:nodes", "system:authenticated"] };
const KUBE_OVN: Identity = {
  as: "system:serviceaccount:kube-system:ovn",
  asGroups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "clerks", "system:authenticated"],
};
const EKS: Identity = { as: "eks:vpc-resource-controller", asGroups: ["clerks", "system:authenticated"] };

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
const doors = await Doors.create(cluster);
const dataSpacer = await startDataSpacer(cluster);
await liqo.createTenantNamespace();
await liqo.createOffloadedNamespace("trial-pharma");
await doors.inForce("trial-pharma");

const status = {
  allocatable: { cpu: "16", memory: "64Gi", pods: "10" },
  // What the API server wants a node to have before it lets the resources of a whole pod change.
  declaredFeatures: ["InPlacePodLevelResourcesVerticalScaling"],
};
await cluster.call("/api/v1/nodes", { body: { metadata: { name: "node-1" }, status } });
const limits = { cpu: "1", memory: "1Gi" };
for (const [name, resources] of Object.entries({ one: undefined, asking: undefined, limited: { limits } })) {
  const pod = await liqoPod("trial-pharma", name);
  Object.assign(pod.spec!, { resources });
  Object.assign(pod.spec!.containers[0]!, { resources: { limits: { cpu: "100m", memory: "64Mi" } } });
  const answer = await liqo.createPod(pod, { retryMs: 10_000 });
  assert.ok(answer.created, JSON.stringify(answer));
  const target = { kind: "Node", name: "node-1" };
  await cluster.call(`${PODS}/${name}/binding`, { body: { metadata: { name }, target } });
}
const asked = { annotations: { "k8s.v1.cni.cncf.io/networks": "storage", cni: "calico" } };
await doors.passes(ADMINISTRATOR, patch(ASKING, { metadata: asked }));

/** A patch of our containers, `image` or `resources`, of init container or proxy. */
function ours(container: "init" | "proxy", change: object, path = POD): Request {
  return strategic(path, { spec: { initContainers: [{ name: `data-space-${container}`, ...change }] } });
}

function theirs(change: object, path = POD): Request {
  return strategic(path, { spec: { containers: [{ name: "app", ...change }] } });
}

function strategic(path: string, body: unknown): Request {
  return { ...patch(path, body), contentType: "application/strategic-merge-patch+json" };
}

function annotate(key: string, path = POD): Request {
  return patch(path, { metadata: { annotations: { [key]: "x" } } });
}

function liqoApplies(annotations: Record<string, string>, labels: Record<string, string> = {}): Request {
  return apply(POD, { apiVersion: "v1", kind: "Pod", metadata: { name: "one", labels, annotations } });
}

const REFUSED = { refusedBy: "pod-changes" };
const OTHER_IMAGE = { image: "localhost/evil:1" };
const cpu = (cpu: string) => ({ resources: { requests: { cpu }, limits: { cpu } } });
const REPORTS = [
  "k8s.v1.cni.cncf.io/network-status",
  "k8s.v1.cni.cncf.io/networks-status",
  "cni.projectcalico.org/containerID",
  "cni.projectcalico.org/podIP",
  "cni.projectcalico.org/podIPs",
  "vpc.amazonaws.com/pod-ips",
];
/** What plugins write and read: theirs alone. */
const PLUGINS = [
  ...pluginAnnotations,
  ...kubeOvnNames.flatMap((name) => [`ovn.kubernetes.io/${name}`, `macvlan.default.kubernetes.io/${name}`]),
  ...kubeOvnOwnNames.flatMap((name) => [`ovn.kubernetes.io/${name}`, `storage.default.ovn.kubernetes.io/${name}`]),
];

const tables: Record<string, () => Attempt[]> = {
  "our containers in a pod keep their images": () => [
    ["init's, by Liqo", LIQO, ours("init", OTHER_IMAGE), REFUSED],
    ["the proxy's, by Liqo", LIQO, ours("proxy", OTHER_IMAGE), REFUSED],
    ["the proxy's, by a clerk", CLERK, ours("proxy", OTHER_IMAGE), REFUSED],
    ["the proxy's, by the administrator", ADMINISTRATOR, ours("proxy", OTHER_IMAGE), "passes"],
    ["that of the pod's own container, by Liqo", LIQO, theirs(OTHER_IMAGE), "passes"],
  ],
  "our containers keep their resources, and the pod its share": () => {
    const resize = `${POD}/resize`;
    const pod = strategic(`${PODS}/limited/resize`, { spec: { resources: { limits: { cpu: "1500m" } } } });
    // Up to Kubernetes 1.34 nobody can.
    const never = { fails: /pods with pod-level resources cannot be resized/ };
    const old = chosenRelease().startsWith("v1.34.");
    return [
      ["less for the proxy, by a clerk", CLERK, ours("proxy", cpu("1m"), resize), REFUSED],
      ["more for the proxy, by the administrator", ADMINISTRATOR, ours("proxy", cpu("250m"), resize), "passes"],
      ["more for the pod's own container, by a clerk", CLERK, theirs(cpu("250m"), resize), "passes"],
      ["another limit of the pod, by a clerk", CLERK, pod, old ? never : REFUSED],
      ["another limit of the pod, by the administrator", ADMINISTRATOR, pod, old ? never : "passes"],
    ];
  },
  "nobody adds a container to a pod that runs": () => {
    const ephemeral = patch(`${POD}/ephemeralcontainers`, {
      spec: { ephemeralContainers: [{ name: "debug", image: "localhost/debug:1" }] },
    });
    return [
      ["a clerk", CLERK, ephemeral, REFUSED],
      ["the administrator", ADMINISTRATOR, ephemeral, "passes"],
    ];
  },
  "Liqo's metadata always passes, unless it asks for an interface or an address": () => [
    [
      "labels and annotations",
      LIQO,
      liqoApplies({ note: "hello" }, { "pod-template-hash": "1", app: "other" }),
      "passes",
    ],
    [
      "an annotation taken off",
      LIQO,
      patch(POD, { metadata: { annotations: { "sidecar.istio.io/inject": null } } }),
      "passes",
    ],
    ["an apply that asks", LIQO, liqoApplies({ "k8s.v1.cni.cncf.io/networks": "x" }), REFUSED],
    [
      "another label where something is asked for already",
      LIQO,
      patch(ASKING, { metadata: { labels: { a: "b" } } }),
      "passes",
    ],
    ["the same asked for again", LIQO, patch(ASKING, { metadata: asked }), "passes"],
    ["another value asked for", LIQO, annotate("cni", ASKING), REFUSED],
    ["nothing asked for any more", LIQO, patch(ASKING, { metadata: { annotations: null } }), "passes"],
    ...[...interfaceAnnotations, ...PLUGINS, "k8s.v1.cni.cncf.io/other", "v1.multus-cni.io/other"].map((
      key,
    ): Attempt => [
      key,
      LIQO,
      annotate(key),
      REFUSED,
    ]),
  ],
  "nobody else asks for an interface either, by whatever way; what plugins report passes": () => [
    ["a clerk", CLERK, annotate("k8s.v1.cni.cncf.io/networks"), REFUSED],
    ["a clerk by way of the status", CLERK, annotate("k8s.v1.cni.cncf.io/networks", `${POD}/status`), REFUSED],
    ["the administrator", ADMINISTRATOR, annotate("k8s.v1.cni.cncf.io/networks"), "passes"],
    ...REPORTS.flatMap((key): Attempt[] => [
      [key, CLERK, annotate(key), "passes"],
      [`${key} by way of the status`, CLERK, annotate(key, `${POD}/status`), "passes"],
    ]),
    ["a kubelet's status", NODE, patch(`${POD}/status`, { status: { phase: "Running" } }), "passes"],
    ...PLUGINS.map((key): Attempt => [`${key} by the plugin`, KUBE_OVN, annotate(key), "passes"]),
    ["a clerk", CLERK, annotate("ovn.kubernetes.io/ip_address"), REFUSED],
    ["Amazon's controller", EKS, annotate("vpc.amazonaws.com/pod-eni"), "passes"],
    ["a key that looks like Kube-OVN's", LIQO, annotate("app.kubernetes.io/vpc"), "passes"],
    ["another request from there", KUBE_OVN, annotate("k8s.v1.cni.cncf.io/networks"), REFUSED],
  ],
};

for (const [name, attempts] of Object.entries(tables)) Deno.test(name, (t) => doors.try(t, attempts()));
for (const [name, attempts] of Object.entries(tables)) {
  Deno.test(`${name}, while no replica runs`, async (t) => {
    await dataSpacer.replica.kill();
    await doors.try(t, attempts());
  });
}
