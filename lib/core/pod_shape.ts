import type { Pod } from "kubernetes-types/core/v1.d.ts";

type Check = (value: unknown, path: string) => string | undefined;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const ofType = (type: "string" | "number" | "boolean"): Check => (value, path) =>
  typeof value === type ? undefined : `${path} must be a ${type}`;

const object = (fields: Record<string, Check>, required: readonly string[] = []): Check => (value, path) => {
  if (!isRecord(value)) return `${path} must be an object`;
  for (const key of required) {
    if (value[key] === undefined || value[key] === null) return `${path}.${key} is missing`;
  }
  for (const key in fields) {
    const field = value[key];
    if (field === undefined || field === null) continue;
    const problem = fields[key]!(field, `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
};

const arrayOf = (item: Check): Check => (value, path) => {
  if (!Array.isArray(value)) return `${path} must be a list`;
  for (const [i, element] of value.entries()) {
    const problem = item(element, `${path}[${i}]`);
    if (problem !== undefined) return problem;
  }
  return undefined;
};

const mapOf = (item: Check): Check => (value, path) => {
  if (!isRecord(value)) return `${path} must be an object`;
  for (const key in value) {
    const problem = item(value[key], `${path}.${key}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
};

const string = ofType("string");
const number = ofType("number");
const quantity: Check = (value, path) =>
  typeof value === "string" || typeof value === "number" ? undefined : `${path} must be a quantity`;

const resources = object({ requests: mapOf(quantity), limits: mapOf(quantity), claims: arrayOf(object({})) });

const securityContext = object({
  runAsUser: number,
  runAsGroup: number,
  capabilities: object({ add: arrayOf(string), drop: arrayOf(string) }),
  seccompProfile: object({}),
});

const container = object({
  name: string,
  image: string,
  command: arrayOf(string),
  args: arrayOf(string),
  env: arrayOf(object({ name: string })),
  ports: arrayOf(object({})),
  volumeMounts: arrayOf(object({ name: string, mountPath: string })),
  volumeDevices: arrayOf(object({ name: string })),
  resources,
  securityContext,
}, ["name"]);

const pod = object({
  metadata: object({ name: string, namespace: string, labels: mapOf(string), annotations: mapOf(string) }),
  spec: object({
    containers: arrayOf(container),
    initContainers: arrayOf(container),
    ephemeralContainers: arrayOf(container),
    volumes: arrayOf(object({ name: string }, ["name"])),
    imagePullSecrets: arrayOf(object({ name: string })),
    resources,
    securityContext: object({
      runAsUser: number,
      runAsGroup: number,
      fsGroup: number,
      supplementalGroups: arrayOf(number),
      seccompProfile: object({}),
    }),
  }, ["containers"]),
}, ["spec"]);

/**
 * Checks what our code reads of a Pod and nothing more: unknown fields are the API server's to judge, and survive.
 *
 * @throws {TypeError} naming the first field of the wrong type.
 */
export function asPod(value: unknown): Pod {
  const problem = pod(value, "object");
  if (problem !== undefined) throw new TypeError(`Cannot read pod: ${problem.replace(/^object\./, "")}`);
  return value as Pod;
}
