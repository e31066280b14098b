import fc from "fast-check";
import type { Pod } from "kubernetes-types/core/v1.d.ts";

/** An object with some of the fields; now and then one is null. */
function some(model: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> {
  const nullable = Object.entries(model)
    .map(([key, value]) => [key, fc.oneof({ weight: 9, arbitrary: value }, fc.constant(null))]);
  return fc.record(Object.fromEntries(nullable), { requiredKeys: [] });
}

const from = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

/** One of the values that pass; rarely one that a rule refuses. */
const mostly = <T>(good: T[], bad: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 40, arbitrary: from(...good) }, { weight: 1, arbitrary: from(...bad) });

const few = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(item, { maxLength: 3 });

const unknown = { futureField: fc.jsonValue({ maxDepth: 3 }) };
const TOKEN = { name: "kube-api-access-abcde", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" };

const uid = mostly([1, 1000, 10001, 21337, 21338, 21339, 65534], [0]);
const quantity = from<unknown>("1", "100m", "0.5", "64Mi", "1e3", "1Gi", 2);
const resources = some({
  requests: some({ cpu: quantity, memory: quantity, "ephemeral-storage": quantity }),
  limits: some({ cpu: quantity, memory: quantity, "hugepages-2Mi": quantity }),
  claims: mostly<unknown>([[]], [[{ name: "a" }]]),
});

/** Fields of the security contexts of pod and container. */
const security = {
  runAsUser: uid,
  runAsGroup: uid,
  runAsNonRoot: mostly([true], [false]),
  seccompProfile: fc.record({ type: mostly(["RuntimeDefault"], ["Unconfined", "Localhost"]) }),
  seLinuxOptions: some({ type: mostly(["container_t"], ["spc_t"]), level: from("s0") }),
  ...unknown,
};

const containerSecurity = some({
  ...security,
  allowPrivilegeEscalation: mostly([false], [true]),
  privileged: mostly([false], [true]),
  readOnlyRootFilesystem: fc.boolean(),
  capabilities: some({
    add: few(mostly(["NET_BIND_SERVICE"], ["CHOWN", "SETUID", "NET_ADMIN"])),
    drop: few(from("ALL", "CHOWN", "NET_RAW")),
    ...unknown,
  }),
  procMount: mostly(["Default"], ["Unmasked"]),
});

const httpGet = fc.record({
  port: from<unknown>(8080, "web", "none"),
  path: from("/", "/ok", "ok", "/ü", null),
  host: mostly<unknown>(["", null], ["h"]),
});
const handler = mostly(["httpGet", "exec"], ["tcpSocket"]).chain((kind) => fc.record({ [kind]: httpGet }));

const port = some({
  name: from("web", "b"),
  containerPort: mostly([80, 8080], [15801]),
  hostPort: mostly([0], [80]),
  protocol: from("TCP", "UDP"),
});

const mount = mostly<unknown>([{ name: "v0", mountPath: "/a" }, { name: "v1", mountPath: "/b" }, TOKEN], [
  { name: "data-space-run", mountPath: "/a" },
  { ...TOKEN, mountPath: "/token" },
]);

const container = fc.tuple(
  mostly(["a", "b", "c", "constructor", "ü"], ["istio-proxy", "data-space-proxy", "data-space-x"]),
  some({
    image: from("localhost/x:1"),
    env: few(fc.record({ name: from("A", "PROBES"), value: fc.string() })),
    ports: few(port),
    resources,
    securityContext: containerSecurity,
    startupProbe: handler,
    livenessProbe: handler,
    readinessProbe: handler,
    lifecycle: some({ preStop: handler }),
    restartPolicy: from("Always"),
    volumeMounts: few(mount),
    ...unknown,
  }),
).map(([name, rest]) => ({ ...rest, name }));

const volume = fc.oneof(
  mostly<{ name: string }>([{ name: "v0" }, { name: "v1" }], [{ name: "data-space-run" }]).chain(({ name }) =>
    mostly<object>([{ emptyDir: {} }, { configMap: { name: "c" } }, {}], [{ hostPath: { path: "/" } }, { nfs: {} }])
      .map((source) => ({ name, ...source }))
  ),
  few(mostly<object>([{ secret: { name: "s" } }, { configMap: { name: "c" } }], [{ podCertificate: {} }]))
    .map((sources) => ({ name: "v2", projected: { sources } })),
  fc.constant({ name: TOKEN.name, projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }),
);

const spec = fc.tuple(
  fc.record({ containers: few(container) }),
  some({
    initContainers: few(container),
    volumes: fc.uniqueArray(volume, { maxLength: 4, selector: ({ name }) => name }),
    imagePullSecrets: few(fc.record({ name: from("registry", "mine") })),
    securityContext: some({ ...security, fsGroup: uid, supplementalGroups: few(uid) }),
    resources,
    automountServiceAccountToken: mostly([false], [true]),
    hostNetwork: mostly([false], [true]),
    hostPID: mostly([false], [true]),
    shareProcessNamespace: mostly([false], [true]),
    nodeName: mostly([""], ["node-1"]),
    dnsPolicy: mostly(["ClusterFirst"], ["None"]),
    serviceAccountName: mostly(["default"], ["admin"]),
    priorityClassName: mostly([""], ["system-node-critical"]),
    ephemeralContainers: mostly<unknown>([[]], [[{ name: "e" }]]),
    ...unknown,
  }),
).map(([required, optional]) => ({ ...optional, ...required }));

const metadata = some({
  name: from("app"),
  labels: fc.dictionary(from("app", "data-space/netpol-allow", "__proto__", "a~b/c"), from("true", "x")),
  annotations: fc.dictionary(
    mostly(["a", "k8s.v1.cni.cncf.io/network-status"], ["k8s.v1.cni.cncf.io/networks"]),
    from("x"),
  ),
});

/**
 * Pods of all shapes that an API server may send or a consumer may write; about half of them hold something that a rule refuses. Values of the
 * wrong type are not among them.
 */
export const anyPod: fc.Arbitrary<Pod> = fc.record({ metadata, spec }).map((pod) => JSON.parse(JSON.stringify(pod)));
