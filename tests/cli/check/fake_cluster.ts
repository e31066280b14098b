import type { ResourceAttributes } from "kubernetes-types/authorization/v1.d.ts";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { parseAllDocuments } from "yaml";
import type { Check, CheckDeps, Finding } from "../../../lib/cli/check/check.ts";
import type { Dialled } from "../../../lib/cli/check/dial.ts";
import { runChecks } from "../../../lib/cli/check/run_checks.ts";
import { survey } from "../../../lib/cli/check/survey.ts";
import { publish } from "../../../lib/core/contract.ts";
import { desired, objectTemplates } from "../../../lib/core/desired_state.ts";
import { injectionTemplate } from "../../../lib/core/injected.ts";
import { PreparedTemplate } from "../../../lib/core/injection.ts";
import { exception, liqo, objects, PRODUCT } from "../../../lib/core/names.ts";
import { patchPod } from "../../../lib/core/pod_patch.ts";
import { KubeError } from "../../../lib/kube/errors.ts";
import { describe, type KubeObject, type Resource } from "../../../lib/kube/resources.ts";
import { testPolicy } from "../../support/policy.ts";
import { testSettings } from "../../support/settings.ts";
import { readFile } from "../../support/tree.ts";

/** Objects in tests are changed freely. */
// deno-lint-ignore no-explicit-any
export type Loose = any;

/** The error of an API server that refuses. */
export function refused(status: number, state: string, details?: KubeError["details"]): KubeError {
  const reason = status === 403 ? "Forbidden" : "InternalError";
  return new KubeError({
    status,
    reason,
    message: `Cannot create pods of "x": ${state}`,
    ...(details ? { details } : {}),
  });
}

const settings = testSettings();
const templates = objectTemplates(settings);
const injection = injectionTemplate(settings, templates);

/** A cluster as far as checks can tell. A test changes what it is about. */
export class FakeCluster {
  /** Of the API server. */
  version = "v1.36.3";
  /** API groups, and the kinds in each. */
  groups: Record<string, string[]> = { apps: ["Deployment"] };
  /** What the user may not do: `list nodes`. */
  forbidden = new Set<string>();
  /** Who the user is. */
  user = "kubernetes-admin";
  /** What our ServiceAccount may do. */
  allows: (attributes: ResourceAttributes) => boolean = ({ resource }) => resource !== exception.resource;
  /** What becomes of a pod that is created. */
  createPod: (pod: Pod) => Pod = (pod) => injected(pod);
  /** How replicas answer, by address. */
  dialled: Record<string, Dialled> = {};
  /** ms since 1970. */
  nowMs = Date.parse("2026-11-24T12:00:00Z");
  /** Requests so far: `create subjectaccessreviews`. */
  readonly requests: string[] = [];
  readonly reviews: { user: string | undefined; attributes: ResourceAttributes }[] = [];
  readonly #objects = new Map<string, Loose>();

  /** Adds or replaces an object. */
  put(kind: string, object: Loose): void {
    const { namespace, name } = object.metadata;
    this.#objects.set(keyOf(kind, namespace, name), structuredClone(object));
  }

  /** Changes an object that is there. */
  change(kind: string, name: string, change: (object: Loose) => void): void {
    for (const [key, object] of this.#objects) {
      if (key.startsWith(`${kind} `) && object.metadata.name === name) change(object);
    }
  }

  /** Takes away all objects of a kind, or those of a name. */
  drop(kind: string, name?: string): void {
    for (const [key, object] of this.#objects) {
      if (key.startsWith(`${kind} `) && (name === undefined || object.metadata.name === name)) {
        this.#objects.delete(key);
      }
    }
  }

  /** Adds a namespace that Liqo has made for `pharma`, with our objects in it. */
  offload(name: string, labels: Record<string, string> = {}): void {
    this.put("Namespace", {
      metadata: {
        name,
        labels: { [liqo.remoteClusterId]: "pharma", ...labels },
        annotations: { [liqo.namespaceMap]: "liqo-tenant-pharma/hospital" },
      },
    });
    for (const { kind, body } of desired(testPolicy({ name }), templates)) {
      const object = JSON.parse(body);
      object.metadata.managedFields = [{ manager: PRODUCT, operation: "Apply" }];
      this.put(kind, object);
    }
  }

  /** What one check finds. */
  async run(check: Check): Promise<Finding[]> {
    const lines = await Array.fromAsync(runChecks([check], this.deps()));
    return lines.map(({ check: _, ...finding }) => finding);
  }

  /** What checks get of it. */
  deps(): CheckDeps {
    const client = this.#client();
    return {
      client,
      settings: this.settings,
      survey: survey(client, this.settings),
      version: "0.1.0",
      now: () => this.nowMs,
      dial: ({ hostname }) => Promise.resolve(this.dialled[hostname] ?? { kind: "trusted" }),
    };
  }

  /** Those of the command line. */
  settings = { ...settings, resolvers: [] as string[] };

  #client(): CheckDeps["client"] {
    const request = (verb: string, resource: Resource<unknown>, ref: { namespace?: string | undefined } = {}) => {
      const what = `${verb} ${resource.plural}`;
      this.requests.push(what);
      if (!this.forbidden.has(what)) return;
      const group = resource.apiVersion.includes("/") ? resource.apiVersion.split("/")[0] : "";
      const where = ref.namespace === undefined ? "at the cluster scope" : `in the namespace "${ref.namespace}"`;
      const state =
        `${resource.plural} is forbidden: User "jane" cannot ${verb} resource "${resource.plural}" in API group "${group}" ${where}`;
      throw new KubeError({
        status: 403,
        reason: "Forbidden",
        message: `Cannot ${verb} ${describe(resource)}: ${state}`,
      });
    };
    // deno-lint-ignore no-this-alias
    const cluster = this;
    return {
      // deno-lint-ignore require-await
      async get<T>(resource: Resource<T>, ref: { namespace?: string | undefined; name: string }): Promise<T> {
        request("get", resource, ref);
        const found = cluster.#objects.get(keyOf(resource.kind, ref.namespace, ref.name));
        if (found !== undefined) return structuredClone(found);
        throw new KubeError({
          status: 404,
          reason: "NotFound",
          message: `Cannot get ${describe(resource, ref)}: not found`,
        });
      },
      async *listAll<T>(resource: Resource<T>, options: Loose = {}) {
        request("list", resource, options);
        yield { items: [{ metadata: { name: "stale" } }] as T[], restarted: false }; // a snapshot that expires
        const items = [...cluster.#objects].filter(([key]) => key.startsWith(`${resource.kind} `)).map(([, o]) => o)
          .filter((object) => selects(options, object));
        yield { items: structuredClone(items) as T[], restarted: true, resourceVersion: "1" };
      },
      // deno-lint-ignore require-await
      async create<T>(resource: Resource<T>, object: T & KubeObject, options: { dryRun?: boolean } = {}): Promise<T> {
        request("create", resource, object.metadata);
        return cluster.#create(resource, object, options.dryRun ?? false);
      },
      // deno-lint-ignore require-await
      async raw(path: string): Promise<string> {
        cluster.requests.push(`get ${path}`);
        return JSON.stringify(cluster.#raw(path));
      },
    };
  }

  #create(resource: Resource<unknown>, object: Loose, dryRun: boolean): Loose {
    switch (resource.kind) {
      case "Pod":
        if (!dryRun) throw new Error("a pod was created in earnest");
        return this.createPod(object);
      case "SelfSubjectReview":
        return { status: { userInfo: { username: this.user } } };
      case "SelfSubjectAccessReview":
      case "SubjectAccessReview": {
        const { user, resourceAttributes: attributes } = object.spec;
        this.reviews.push({ user, attributes });
        return { status: { allowed: this.allows(attributes) } };
      }
      default:
        throw new Error(`${resource.kind} was created`);
    }
  }

  #raw(path: string): unknown {
    if (path === "/version") return { gitVersion: this.version };
    const names = Object.keys(this.groups);
    if (path === "/apis") return { groups: names.map((name) => ({ name })) };
    const [, , group, version] = path.split("/");
    if (version === undefined) return { preferredVersion: { groupVersion: `${group}/v1beta1` } };
    return { resources: this.groups[group!]!.map((kind) => ({ kind })) };
  }
}

/** A cluster on which all is well: Liqo, an engine, Data Spacer, and one offloaded namespace `trial`. */
export async function healthyCluster(caBundle = ""): Promise<FakeCluster> {
  const cluster = new FakeCluster();
  cluster.groups["offloading.liqo.io"] = ["ShadowPod", "NamespaceMap"];
  cluster.put("Node", { metadata: { name: "n1" }, status: { nodeInfo: { kubeletVersion: "v1.36.3" } } });
  cluster.put("DaemonSet", {
    metadata: { namespace: "kube-system", name: "calico-node" },
    status: { numberReady: 1, desiredNumberScheduled: 1 },
  });
  const [deployment] = await manifests("deployment");
  deployment.status = { readyReplicas: 2 };
  cluster.put("Deployment", deployment);
  const [configuration] = await manifests("mutating_webhook_configuration");
  if (caBundle) configuration.webhooks[0].clientConfig.caBundle = btoa(caBundle);
  cluster.put("MutatingWebhookConfiguration", configuration);
  for (const file of ["validating_admission_policies", "validating_admission_policy_bindings"]) {
    for (const object of await manifests(file)) cluster.put(object.kind, object);
  }
  const namespace = settings.namespace;
  cluster.put("Namespace", { metadata: { name: namespace } });
  cluster.put("Lease", {
    metadata: { namespace, name: objects.lease },
    spec: { holderIdentity: "replica-1", leaseDurationSeconds: 10, renewTime: "2026-11-24T11:59:58.000000Z" },
  });
  cluster.put("ConfigMap", {
    metadata: { namespace, name: objects.contract },
    data: publish(undefined, injection, { now: 0 }),
  });
  cluster.put("EndpointSlice", {
    metadata: { namespace, name: "data-spacer-x", labels: { "kubernetes.io/service-name": settings.serviceName } },
    endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready: true } }, { addresses: ["10.0.0.2"], conditions: {} }],
    ports: [{ name: "webhook", port: 8443 }],
  });
  const tenant = { [liqo.remoteClusterId]: "pharma", [liqo.tenantNamespace]: "true" };
  cluster.put("Namespace", { metadata: { name: "liqo-tenant-pharma", labels: tenant } });
  cluster.offload("trial");
  return cluster;
}

/** A pod as the webhook makes it. */
export function injected(pod: Loose, template = injection): Pod {
  const current = new PreparedTemplate(template);
  const result = patchPod(pod, testPolicy({ name: "trial" }), { current, accepted: [] });
  if (result.kind === "refused") throw new Error(JSON.stringify(result.violations));
  return result.pod;
}

const parsed = new Map<string, Promise<Loose[]>>();

/** Documents of a file of `deploy/base`, which is parsed once. */
export async function manifests(file: string): Promise<Loose[]> {
  const parse = async () =>
    parseAllDocuments(await readFile(`deploy/base/${file}.yaml`)).map((document) => document.toJS());
  const documents = parsed.get(file) ?? parse();
  parsed.set(file, documents);
  return structuredClone(await documents);
}

/** As few words as tests need of findings. */
export function brief(findings: readonly Finding[]): string[] {
  return findings.map(({ level, message }) => `${level}: ${message}`);
}

function keyOf(kind: string, namespace: string | undefined, name: string): string {
  return `${kind} ${namespace ?? ""}/${name}`;
}

function selects({ namespace, labelSelector, fieldSelector }: Loose, { metadata }: Loose): boolean {
  const [key, value] = (labelSelector ?? "").split("=");
  return (namespace === undefined || metadata.namespace === namespace) &&
    (!labelSelector || (value === undefined ? key in (metadata.labels ?? {}) : metadata.labels?.[key] === value)) &&
    (!fieldSelector || fieldSelector === `metadata.name=${metadata.name}`);
}

/** The template that replicas of these tests inject. */
export { injection };
