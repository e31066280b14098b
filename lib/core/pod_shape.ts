import type { Pod } from "kubernetes-types/core/v1.d.ts";

/** What is wrong with a value, as the rest of a sentence that begins with its path; undefined: nothing. Paths are built for wrong values only. */
type Check = (value: unknown) => string | undefined;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Fields may be absent or null; those not named may be anything. */
const object = (fields: Record<string, Check>, required: readonly string[] = []): Check => {
  const entries = Object.entries(fields);
  return (value) => {
    if (!isRecord(value)) return " must be an object";
    for (const key of required) {
      if (!Object.hasOwn(value, key) || value[key] === null) return `.${key} is missing`;
    }
    for (const [key, check] of entries) {
      const field = value[key] ?? undefined;
      const problem = field === undefined ? undefined : check(field);
      if (problem !== undefined) return `.${key}${problem}`;
    }
    return undefined;
  };
};

const arrayOf = (item: Check): Check => (value) => {
  if (!Array.isArray(value)) return " must be a list";
  for (let i = 0; i < value.length; i++) {
    const problem = item(value[i]);
    if (problem !== undefined) return `[${i}]${problem}`;
  }
  return undefined;
};

const mapOf = (item: Check): Check => (value) => {
  if (!isRecord(value)) return " must be an object";
  for (const key of Object.keys(value)) {
    const member = value[key] ?? undefined;
    const problem = member === undefined ? undefined : item(member);
    if (problem !== undefined) return `[${key.slice(0, 100)}]${problem}`;
  }
  return undefined;
};

const string: Check = (value) => typeof value === "string" ? undefined : " must be a string";
const number: Check = (value) => typeof value === "number" ? undefined : " must be a number";
const portNumberOrName: Check = (value) =>
  typeof value === "string" || typeof value === "number" ? undefined : " must be a number or a name";
const quantity: Check = (value) =>
  typeof value === "string" || typeof value === "number" ? undefined : " must be a quantity";
const any = object({});

const resources = object({ requests: mapOf(quantity), limits: mapOf(quantity) });

const securityContext = {
  runAsUser: number,
  runAsGroup: number,
  seccompProfile: any,
};

const probe = object({ httpGet: object({ path: string, port: portNumberOrName, scheme: string }) });

const container = object({
  name: string,
  env: arrayOf(object({ name: string })),
  ports: arrayOf(object({ name: string, containerPort: number })),
  volumeMounts: arrayOf(object({ name: string, mountPath: string })),
  resources,
  securityContext: object({
    ...securityContext,
    capabilities: object({ add: arrayOf(string), drop: arrayOf(string) }),
  }),
  startupProbe: probe,
  livenessProbe: probe,
  readinessProbe: probe,
}, ["name"]);

const pod = object({
  metadata: object({ labels: mapOf(string), annotations: mapOf(string) }),
  spec: object({
    containers: arrayOf(container),
    initContainers: arrayOf(container),
    ephemeralContainers: arrayOf(container),
    volumes: arrayOf(object({ name: string, projected: object({ sources: arrayOf(any) }) }, ["name"])),
    imagePullSecrets: arrayOf(object({ name: string })),
    resources,
    securityContext: object({
      ...securityContext,
      fsGroup: number,
      supplementalGroups: arrayOf(number),
    }),
  }),
}, ["spec"]);

/**
 * Checks what our code reads of a Pod and nothing more: unknown fields are the API server's to judge, and survive.
 *
 * @throws {TypeError} naming the first field of the wrong type.
 */
export function asPod(value: unknown): Pod {
  const problem = pod(value);
  if (problem !== undefined) throw new TypeError(`Cannot read pod: ${problem.replace(/^[. ]/, "")}`);
  return value as Pod;
}
