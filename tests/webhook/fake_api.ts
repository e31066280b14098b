import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import type { Secret } from "kubernetes-types/core/v1.d.ts";
import { objects } from "../../lib/core/names.ts";
import type { JsonPatchOp } from "../../lib/kube/calls.ts";
import { KubeError } from "../../lib/kube/errors.ts";
import type { KubeObject, Resource } from "../../lib/kube/resources.ts";
import type { Source } from "../../lib/state/source.ts";
import { type BundleConfiguration, projectBundles } from "../../lib/webhook/ca_bundle.ts";
import { type CaSecret, projectCaSecret } from "../../lib/webhook/ca_secret.ts";
import type { OwnCaDeps } from "../../lib/webhook/own_ca.ts";
import { settled } from "../controller/fake_clock.ts";

type Listener<T> = Parameters<Source<T>["subscribe"]>[0];

/** One object as an API server keeps it, and a watch on it. */
class Kept<O extends KubeObject, T> implements Source<T> {
  #object: O | undefined;
  #version = 100;
  readonly #listeners = new Set<Listener<T>>();

  constructor(readonly key: string, readonly kind: string, readonly project: (object: O) => T) {}

  get object(): O | undefined {
    return structuredClone(this.#object);
  }

  put(object: O | undefined): O | undefined {
    const before = this.#object;
    this.#object = object &&
      { ...structuredClone(object), metadata: { ...object.metadata, resourceVersion: String(++this.#version) } };
    const value = this.#object ?? before;
    if (value === undefined) return undefined;
    const type = this.#object === undefined ? "deleted" : before === undefined ? "added" : "updated";
    for (const listener of this.#listeners) listener({ type, key: this.key, value: this.project(value) });
    return this.object;
  }

  get(key: string): T | undefined {
    return key === this.key && this.#object ? this.project(this.#object) : undefined;
  }

  *values(): Generator<T> {
    if (this.#object) yield this.project(this.#object);
  }

  subscribe(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}

/** The Secret and the webhook configuration at an API server that can be told to fail. */
export class FakeApi {
  readonly secret = new Kept<Secret, CaSecret>(`ours/${objects.caSecret}`, "Secret", projectCaSecret);
  readonly configuration = new Kept<MutatingWebhookConfiguration, BundleConfiguration>(
    "hook",
    "MutatingWebhookConfiguration",
    projectBundles,
  );
  /** Each write that was tried, such as `create Secret` or `create Secret: 409`. */
  readonly calls: string[] = [];
  /** Called before each write; may throw. */
  before: (call: string) => void = () => {};

  /** Installs a webhook configuration with so many webhooks, as a manifest without `caBundle` does. */
  install(webhooks = 1): void {
    const hook = (name: string) => ({
      name,
      clientConfig: { service: { name: "data-spacer", namespace: "ours" } },
      sideEffects: "None",
      admissionReviewVersions: ["v1"],
    });
    const names = Array.from({ length: webhooks }, (_, i) => `w${i}.data-spacer.io`);
    this.configuration.put({ metadata: { name: "hook" }, webhooks: names.map(hook) });
  }

  /** PEM of the `caBundle` of one webhook. */
  bundle(index = 0): string {
    return this.configuration.get("hook")?.bundles[index] ?? "";
  }

  readonly client: OwnCaDeps["client"] = {
    get: <T>(resource: Resource<T>): Promise<T> =>
      this.#call(`get ${resource.kind}`, () => {
        const object = this.#kept(resource.kind).object;
        if (object === undefined) throw refusal(404);
        return object as T;
      }),
    create: <T>(resource: Resource<T>, object: T & KubeObject): Promise<T> =>
      this.#call(`create ${resource.kind}`, () => {
        const kept = this.#kept(resource.kind);
        if (kept.object !== undefined) throw refusal(409);
        return kept.put(object) as T;
      }),
    replace: <T>(resource: Resource<T>, object: T & KubeObject): Promise<T> =>
      this.#call(`replace ${resource.kind}`, () => {
        const kept = this.#kept(resource.kind);
        if (kept.object === undefined) throw refusal(404);
        if (kept.object.metadata?.resourceVersion !== object.metadata?.resourceVersion) throw refusal(409);
        return kept.put(object) as T;
      }),
    jsonPatch: <T>(resource: Resource<T>, steps: readonly JsonPatchOp[]): Promise<T> =>
      this.#call(`patch ${resource.kind}`, () => {
        const kept = this.#kept(resource.kind);
        const object = kept.object as MutatingWebhookConfiguration | undefined;
        if (object === undefined) throw refusal(404);
        for (const step of steps) {
          if (step.op === "test" && step.value !== object.metadata?.resourceVersion) throw refusal(422);
          const [, index] = /^\/webhooks\/(\d+)\/clientConfig\/caBundle$/.exec(step.path) ?? [];
          if (step.op === "add") object.webhooks![Number(index)]!.clientConfig.caBundle = step.value as string;
        }
        return kept.put(object) as T;
      }),
  };

  // deno-lint-ignore no-explicit-any -- one of two kinds
  #kept(kind: string): Kept<any, any> {
    return kind === "Secret" ? this.secret : this.configuration;
  }

  async #call<T>(call: string, run: () => T): Promise<T> {
    await settled(); // time passes, others may be quicker
    try {
      this.before(call);
      const result = run();
      if (!call.startsWith("get")) this.calls.push(call);
      return result;
    } catch (error) {
      this.calls.push(`${call}: ${(error as KubeError).status}`);
      throw error;
    }
  }
}

/** What the API server says no with. */
export function refusal(status: number): KubeError {
  return new KubeError({ status, reason: `R${status}`, message: `Cannot do: ${status}` });
}
