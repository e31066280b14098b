import { injectionTemplate } from "../core/injected.ts";
import type { NamespacePolicy } from "../core/namespace_policy.ts";
import { type Injection, PreparedTemplate } from "../core/injection.ts";
import { patchPod } from "../core/pod_patch.ts";
import { asPod } from "../core/pod_shape.ts";
import type { Settings } from "../core/settings.ts";
import { type Document, joinDocuments, withValue } from "./documents.ts";
import { isObject, type Json, namespacesIn, type ObjectType, readFiles, typeOf } from "./files.ts";
import { offlinePolicies } from "./offline_policies.ts";
import { withExampleResolvers } from "./offline_settings.ts";
import { readCommandLine } from "./options.ts";
import { printable, UsageError, type Verb } from "./verb.ts";

const usage = {
  usage: "data-spacer inject -f FILE [FLAGS]",
  about:
    "Exit code 1, with a line on stderr for each reason, if the webhook would refuse any pod; 2 on wrong usage.\n\n",
  flags: {
    filename: { value: "FILE", short: "f", help: "YAML or JSON to read, once or more often; - is standard input" },
    consumer: { value: "ID", help: "consumer of the namespaces that the stream does not hold (default consumer)" },
  },
} as const;

/** Where the pod template of a workload stands, by API group and kind. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  "/Pod": [],
  "/ReplicationController": ["spec", "template"],
  "apps/Deployment": ["spec", "template"],
  "apps/StatefulSet": ["spec", "template"],
  "apps/DaemonSet": ["spec", "template"],
  "apps/ReplicaSet": ["spec", "template"],
  "batch/Job": ["spec", "template"],
  "batch/CronJob": ["spec", "jobTemplate", "spec", "template"],
};

/** A cluster id, as it stands in a label (Kubernetes: label values). */
const CLUSTER_ID = /^[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;

/** `inject -f FILE`: every pod and pod template of a stream, as the webhook would make it. Exit code 1 if any is refused. */
export const run: Verb = async (args, process) => {
  const line = readCommandLine(args, process, usage);
  if (line === undefined) return 0;
  const { filename: files, consumer: [consumer = "consumer"] } = line.own;
  if (files.length === 0) throw new UsageError("Cannot inject: -f FILE is missing; - reads standard input");
  if (!CLUSTER_ID.test(consumer)) {
    throw new UsageError(
      `Cannot use --consumer "${consumer}": must be a cluster id, as in label liqo.io/remote-cluster-id`,
    );
  }
  const documents = await readFiles(files, process);
  const namespaces = documents.flatMap(({ value }) => namespacesIn(value));
  const settings = withExampleResolvers(line.settings, process);
  const policies = offlinePolicies(namespaces, settings, consumer);
  for (const warning of policies.warnings) process.err(`${printable(warning)}\n`);
  const injector = new Injector(settings, policies.of);
  const injected = documents.map((document) => injector.document(document));
  for (const refusal of injector.refusals) process.err(`${refusal}\n`);
  if (injector.refusals.length > 0) return 1;
  if (injector.pods === 0) {
    process.err(
      "Note: nothing to inject: the stream holds no pod or pod template of an offloaded namespace with proxy\n",
    );
  }
  process.out(joinDocuments(injected));
  return 0;
};

class Injector {
  /** One line for each violation. */
  readonly refusals: string[] = [];
  /** Pods and templates that the webhook would have been asked about. */
  pods = 0;
  readonly #injection: Injection;
  readonly #policyOf: (namespace: string) => NamespacePolicy | undefined;

  constructor(settings: Settings, policyOf: (namespace: string) => NamespacePolicy | undefined) {
    this.#injection = { current: new PreparedTemplate(injectionTemplate(settings)), accepted: [] };
    this.#policyOf = policyOf;
  }

  /** The document injected; itself where nothing is to be done, so that its text stays as it was. */
  document(document: Document): Document {
    const value = this.#object(document.value);
    return value === document.value ? document : withValue(document, value);
  }

  #object(value: unknown, list?: ObjectType): unknown {
    if (!isObject(value)) return value;
    const type = typeOf(value, list);
    if (Array.isArray(value.items) && type.kind.endsWith("List")) {
      const items = value.items.map((item) => this.#object(item, type));
      return items.every((item, i) => item === (value.items as unknown[])[i]) ? value : { ...value, items };
    }
    const path = TEMPLATES[`${groupOf(type)}/${type.kind}`];
    if (path === undefined) return value;
    const meta = (isObject(value.metadata) ? value.metadata : {}) as {
      [key in "name" | "generateName" | "namespace"]?: string;
    };
    const subject = `${type.kind}/${meta.name ?? meta.generateName ?? ""}`;
    const policy = this.#policyOf(meta.namespace ?? "default");
    if (policy === undefined || !policy.proxy) return value;
    return replaceAt(
      value,
      path,
      (pod) => this.#pod(pod, policy, (problem) => `${subject}: ${[...path, problem].join(".")}`),
    );
  }

  #pod(pod: Json, policy: NamespacePolicy, describe: (problem: string) => string): Json {
    this.pods++;
    const problems: string[] = [];
    try {
      const result = patchPod(asPod(pod), policy, this.#injection);
      if (result.kind === "patched") return result.ops.length === 0 ? pod : result.pod as Json;
      problems.push(...result.violations.map(({ field, message }) => `${field}: ${message}`));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      problems.push(error.message.replace(/^Cannot read pod: /, ""));
    }
    // One line each, whatever the names in it hold.
    this.refusals.push(...problems.map((problem) => printable(describe(problem))));
    return pod;
  }
}

/** The value with what stands at a path replaced; itself where nothing stands there or nothing changes. */
function replaceAt(value: unknown, [key, ...rest]: readonly string[], change: (found: Json) => Json): unknown {
  if (!isObject(value)) return value;
  if (key === undefined) return change(value);
  const inner = replaceAt(value[key], rest, change);
  return inner === value[key] ? value : { ...value, [key]: inner };
}

function groupOf({ apiVersion }: ObjectType): string {
  return apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
}
