import type { Random } from "./random.ts";

type Json = unknown;

/** What a hostile or broken client might put anywhere. */
const JUNK: readonly Json[] = [
  null,
  true,
  false,
  0,
  -1,
  21_337,
  1e308,
  0.5,
  "",
  "0",
  "data-space-proxy",
  "data-space-run",
  "/var/run/secrets/kubernetes.io/serviceaccount",
  "{{proxyUid}}",
  "\u0000\ud800",
  "a".repeat(5_000),
  [],
  [null],
  [[]],
  {},
  { name: "x" },
  { __proto__: null, constructor: "x" },
];

/** Fields that open a way around the proxy, or name something of ours, by where they belong. */
const HOSTILE: Readonly<Record<string, readonly [string, Json][]>> = {
  spec: [
    ["hostNetwork", true],
    ["hostPID", true],
    ["hostIPC", true],
    ["hostUsers", false],
    ["shareProcessNamespace", true],
    ["nodeName", "node"],
    ["serviceAccountName", "admin"],
    ["automountServiceAccountToken", true],
    ["dnsPolicy", "None"],
    ["dnsPolicy", "Default"],
    ["dnsConfig", { nameservers: ["192.0.2.1"] }],
    ["runtimeClassName", "kata"],
    ["priorityClassName", "system-node-critical"],
    ["securityContext", { runAsUser: 0 }],
    ["securityContext", { runAsUser: 21_337, fsGroup: 21_338, supplementalGroups: [21_339] }],
    ["securityContext", { sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }] }],
    ["securityContext", { seccompProfile: { type: "Unconfined" } }],
    ["volumes", [{ name: "host", hostPath: { path: "/" } }]],
    ["volumes", [{ name: "data-space-envoy-config", configMap: { name: "evil" } }]],
    ["volumes", [{ name: "data-space-run", emptyDir: {} }, { name: "data-space-run", emptyDir: {} }]],
    ["initContainers", [{ name: "data-space-init", image: "evil" }]],
    ["initContainers", [{ name: "data-space-proxy", image: "evil", restartPolicy: "Always" }]],
    ["ephemeralContainers", [{ name: "debug", image: "evil", targetContainerName: "data-space-proxy" }]],
    ["resources", { requests: { cpu: "1" }, limits: { cpu: "x" } }],
  ],
  container: [
    ["name", "data-space-init"],
    ["name", "data-space-proxy"],
    ["securityContext", { privileged: true }],
    ["securityContext", { runAsUser: 0 }],
    ["securityContext", { runAsUser: 21_337 }],
    ["securityContext", { runAsNonRoot: false }],
    ["securityContext", { allowPrivilegeEscalation: true }],
    ["securityContext", { capabilities: { add: ["NET_ADMIN"] } }],
    ["securityContext", { capabilities: { add: ["NET_RAW"], drop: ["ALL"] } }],
    ["securityContext", { procMount: "Unmasked" }],
    ["securityContext", { seccompProfile: { type: "Localhost", localhostProfile: "x" } }],
    ["securityContext", null],
    ["ports", [{ containerPort: 15_801 }]],
    ["ports", [{ containerPort: 80, hostPort: 80 }]],
    ["volumeMounts", [{ name: "data-space-run", mountPath: "/x" }]],
    ["volumeMounts", [{ name: "data-space-envoy-config", mountPath: "/x" }]],
    ["volumeDevices", [{ name: "data-space-run", devicePath: "/x" }]],
    ["livenessProbe", { tcpSocket: { port: 80 } }],
    ["livenessProbe", { httpGet: { host: "192.0.2.1", port: 80 } }],
    ["lifecycle", { postStart: { httpGet: { host: "192.0.2.1", port: 80 } } }],
    ["env", [{ name: "X", valueFrom: { fieldRef: { fieldPath: "status.hostIP" } } }]],
  ],
  metadata: [
    ["labels", null],
    ["labels", { "data-space/netpol-allow": "no" }],
    ["annotations", { "k8s.v1.cni.cncf.io/networks": "other" }],
    ["annotations", { "data-space/apply-webhook": "false" }],
    ["namespace", "other"],
  ],
};

interface Place {
  holder: Record<string, Json> | Json[];
  key: string | number;
}

function places(value: Json, found: Place[] = []): Place[] {
  if (Array.isArray(value)) {
    for (const [key, item] of value.entries()) found.push({ holder: value, key }), places(item, found);
  } else if (typeof value === "object" && value !== null) {
    for (const key of Object.keys(value)) {
      found.push({ holder: value as Record<string, Json>, key });
      places((value as Record<string, Json>)[key], found);
    }
  }
  return found;
}

/** A copy of a JSON value with some changes: mostly small ones, some of them hostile on purpose. */
export function mutate(value: Json, random: Random): Json {
  const root = { value: structuredClone(value) };
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    if (random.chance(0.5)) addHostile(root.value, random);
    else changeAnything(root, random);
  }
  return root.value;
}

function addHostile(value: Json, random: Random): void {
  const pod = find(value, "spec", "metadata");
  if (pod === undefined) return;
  const spec = pod.spec as Record<string, Json> | null;
  const where = random.of(["spec", "container", "container", "metadata"] as const);
  const [key, junk] = random.of(HOSTILE[where]!);
  const holder = where === "container" ? random.of(containersOf(spec) ?? [spec]) : pod[where];
  if (typeof holder === "object" && holder !== null) (holder as Record<string, Json>)[key] = structuredClone(junk);
}

function containersOf(spec: Record<string, Json> | null): Json[] | undefined {
  const all = ["containers", "initContainers"].flatMap((field) => {
    const list = spec?.[field];
    return Array.isArray(list) ? list : [];
  });
  return all.length > 0 ? all : undefined;
}

/** The first object within that has both keys. */
function find(value: Json, ...keys: string[]): Record<string, Json> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const record = value as Record<string, Json>;
  if (keys.every((key) => Object.hasOwn(record, key))) return record;
  for (const child of Object.values(record)) {
    const found = find(child, ...keys);
    if (found !== undefined) return found;
  }
  return undefined;
}

function changeAnything(root: { value: Json }, random: Random): void {
  const all = places(root);
  if (all.length === 0) return;
  const { holder, key } = random.of(all);
  const at = holder as Record<string | number, Json>;
  switch (random.below(4)) {
    case 0:
      at[key] = structuredClone(random.of(JUNK));
      break;
    case 1:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete at[key];
      break;
    case 2:
      if (Array.isArray(holder)) holder.push(structuredClone(at[key]));
      else at[`${key}${random.of(["", "x", "s"])}`] = structuredClone(at[key]);
      break;
    case 3: {
      const other = random.of(all);
      at[key] = structuredClone((other.holder as Record<string | number, Json>)[other.key]);
    }
  }
}

/** Bytes with some of them changed, cut off or doubled. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  for (let changes = 1 + random.below(3); changes > 0; changes--) copy[random.below(copy.length)] = random.below(256);
  return random.chance(0.3) ? copy.subarray(0, random.below(copy.length)) : copy;
}
