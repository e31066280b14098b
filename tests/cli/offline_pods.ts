import assert from "node:assert/strict";
import type { Namespace, Pod, PodSpec } from "kubernetes-types/core/v1.d.ts";
import { parseAllDocuments, stringify } from "yaml";
import { run } from "../../lib/cli/inject.ts";
import { decide, decodeReview, encodeReview } from "../../lib/core/admission.ts";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { PreparedTemplate } from "../../lib/core/injection.ts";
import { liqo } from "../../lib/core/names.ts";
import { namespaceFacts, namespacePolicy } from "../../lib/core/namespace_policy.ts";
import { applyPatch } from "../support/json_patch.ts";
import { type Outcome, runVerb } from "../support/run_verb.ts";
import { testSettings } from "../support/settings.ts";

/** A flag without which there is a note on stderr. */
export const RESOLVERS = "--resolvers=10.96.0.10";
/** Of a pod that no rule has anything against. */
export const spec: PodSpec = { containers: [{ name: "app", image: "localhost/app:1" }] };
/** A pod of the namespace `trial`. */
export const pod = (name = "a", more: Partial<Pod> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "trial" },
  spec,
  ...more,
});
/** An offloaded namespace. */
export const namespace = (name = "trial", more: Record<string, string> = {}): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: { [liqo.remoteClusterId]: "pharma", ...more } },
});

/** Objects as a stream of YAML. */
export const stream = (...objects: unknown[]) => objects.map((object) => stringify(object)).join("---\n");
/** What a stream holds. */
export const documents = (text: string) => parseAllDocuments(text).map((document) => document.toJS());

/** Injects documents given on standard input. */
export function inject(text: string, flags: string[] = [RESOLVERS]): Promise<Outcome> {
  return runVerb(run, ["-f", "-", ...flags], { files: { "-": text } });
}

/** What comes out, where nothing is refused. */
export async function injected<T>(...objects: unknown[]): Promise<T[]> {
  const { code, stdout, stderr } = await inject(stream(...objects));
  assert.equal(code, 0);
  assert.match(stderr, /^(Note: nothing to inject: .*\n)?$/);
  return documents(stdout) as T[];
}

/** What the webhook makes of a pod, by its patch. */
export function admitted(pod: Pod, namespaced = namespace("trial")): Pod {
  const facts = namespaceFacts(namespaced);
  const tenant = namespaceFacts({
    metadata: {
      labels: { [liqo.tenantNamespace]: "true", [liqo.remoteClusterId]: facts.labels[liqo.remoteClusterId]! },
    },
  });
  const policy = namespacePolicy(facts, tenant, testSettings());
  const review = decodeReview(new TextEncoder().encode(JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "1",
      kind: { group: "", version: "v1", kind: "Pod" },
      operation: "CREATE",
      namespace: facts.name,
      object: pod,
    },
  })));
  const current = new PreparedTemplate(injectionTemplate(testSettings()));
  const decision = decide(review, { policy, ready: true }, {
    current,
    accepted: [],
  });
  const { response } = JSON.parse(new TextDecoder().decode(encodeReview("1", decision)));
  assert.equal(response.allowed, true, response.status?.message);
  if (response.patch === undefined) return pod;
  return applyPatch(pod, JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(response.patch))));
}

/** A pod as the API server hands it on: its fields of text are left out where they are empty, and defaults are filled in. */
export function stored(pod: Pod): Pod {
  const stored = JSON.parse(JSON.stringify(pod, (_, value) => value === "" ? undefined : value)) as Pod;
  for (const container of [...stored.spec!.initContainers!, ...stored.spec!.containers]) {
    container.terminationMessagePath ??= "/dev/termination-log";
    container.terminationMessagePolicy ??= "File";
  }
  return stored;
}
