import assert from "node:assert/strict";
import {
  desired,
  digestOf,
  objectTemplates,
  type Owned,
  ownedFacts,
  type OwnedKind,
  plan,
  type PlanStep,
} from "../../lib/core/desired_state.ts";
import { envoyFiles } from "../../lib/core/names.ts";
import { testPolicy } from "../support/policy.ts";
import { testSettings } from "../support/settings.ts";

const templates = objectTemplates(testSettings());
const policy = testPolicy();

function owned(kind: OwnedKind, changed: Partial<Owned> = {}): Owned {
  const { digest } = templates[kind];
  return { kind, namespace: policy.name, uid: "u", resourceVersion: "1", managed: true, digest, ...changed };
}

const both = [owned("ConfigMap"), owned("NetworkPolicy")];
const short = (steps: PlanStep[]) =>
  steps.map((step) => [step.do, step.do === "apply" ? step.desired.kind : step.owned.kind, step.because].join(" "));

Deno.test("desired() is Envoy's files and the NetworkPolicy, in their namespace, with our label", () => {
  const [configMap, netpol] = desired(policy, templates).map(({ body }) => JSON.parse(body));
  assert.deepEqual([configMap.apiVersion, configMap.kind], ["v1", "ConfigMap"]);
  assert.deepEqual(Object.keys(configMap.data).sort(), Object.values(envoyFiles).sort());
  assert.deepEqual([netpol.apiVersion, netpol.kind], ["networking.k8s.io/v1", "NetworkPolicy"]);
  for (const [object, name] of [[configMap, "data-space-envoy-config"], [netpol, "data-space-network-policy"]]) {
    assert.deepEqual(object.metadata, {
      name,
      namespace: policy.name,
      labels: { "app.kubernetes.io/managed-by": "data-spacer" },
    });
  }
});

Deno.test("what desired() has applied is the object but for its namespace, the same bytes for all", () => {
  for (const [i, { body, applied }] of desired(policy, templates).entries()) {
    const { metadata: { namespace, ...metadata }, ...object } = JSON.parse(body);
    assert.equal(namespace, policy.name);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(applied)), { ...object, metadata });
    assert.equal(desired({ ...policy, name: "another" }, templates)[i]!.applied, applied);
  }
});

Deno.test("desired() follows the opt-outs, and wants nothing where it has no business", async (t) => {
  const table: [string, Parameters<typeof desired>[0], OwnedKind[]][] = [
    ["both", policy, ["ConfigMap", "NetworkPolicy"]],
    ["no proxy", testPolicy({ proxy: false }), ["NetworkPolicy"]],
    ["no NetworkPolicy", testPolicy({ netpol: false }), ["ConfigMap"]],
    ["neither", testPolicy({ proxy: false, netpol: false }), []],
    ["terminating", testPolicy({ terminating: true }), []],
    ["not offloaded", undefined, []],
  ];
  for (const [name, of, kinds] of table) {
    await t.step(name, () => assert.deepEqual(desired(of, templates).map(({ kind }) => kind), kinds));
  }
});

Deno.test("digestOf() of what was applied equals the desired digest, and changes with whatever anybody adds", async (t) => {
  for (const { kind, body, digest } of desired(policy, templates)) {
    const stored = (): Record<string, unknown> & { metadata: Record<string, unknown> } => {
      const object = JSON.parse(body);
      object.metadata = {
        ...object.metadata,
        uid: "u",
        resourceVersion: "7",
        creationTimestamp: "2026-01-01T00:00:00Z",
        generation: 3,
        managedFields: [{ manager: "data-spacer", operation: "Apply" }],
      };
      return object;
    };
    await t.step(`${kind} as stored`, () => assert.equal(digestOf(stored()), digest));
    const changes: Record<string, (object: ReturnType<typeof stored>) => void> = {
      "a label": ({ metadata }) => Object.assign(metadata.labels as object, { "offloading.liqo.io/origin": "x" }),
      "an annotation": ({ metadata }) => metadata.annotations = { a: "b" },
      "an owner": ({ metadata }) => metadata.ownerReferences = [{ uid: "x" }],
      "a finalizer": ({ metadata }) => metadata.finalizers = ["x/y"],
      "immutable": (object) => object.immutable = true,
      "a key of data": (object) => object.data = { ...object.data as object, "x.yaml": "" },
      "binary data": (object) => object.binaryData = { x: "" },
      "a rule": (object) => object.spec = { ...object.spec as object, ingress: [{}] },
    };
    for (const [name, change] of Object.entries(changes)) {
      await t.step(`${kind} with ${name} more`, () => {
        const object = stored();
        change(object);
        assert.notEqual(digestOf(object), digest);
      });
    }
  }
});

Deno.test("ownedFacts() keeps what a comparison needs, of an object with our name", () => {
  const [{ body, digest }] = desired(policy, templates) as [ReturnType<typeof desired>[number]];
  const object = JSON.parse(body);
  object.metadata = { ...object.metadata, uid: "u", resourceVersion: "7" };
  const facts = { kind: "ConfigMap", namespace: policy.name, uid: "u", resourceVersion: "7", digest } as const;
  assert.deepEqual(ownedFacts("ConfigMap", object), { ...facts, managed: false });
  object.metadata.managedFields = [{ manager: "data-spacer", operation: "Update" }, {
    manager: "kubectl",
    operation: "Apply",
  }];
  assert.deepEqual(ownedFacts("ConfigMap", object), { ...facts, managed: false });
  object.metadata.managedFields.push({ manager: "data-spacer", operation: "Apply" });
  assert.deepEqual(ownedFacts("ConfigMap", object), { ...facts, managed: true });
  assert.equal(ownedFacts("NetworkPolicy", object), undefined);
  assert.equal(ownedFacts("ConfigMap", {}), undefined);
});

Deno.test("plan() says what to do and why", async (t) => {
  const table: [string, Parameters<typeof plan>[0], Owned[], string[]][] = [
    ["nothing there", policy, [], ["apply ConfigMap absent", "apply NetworkPolicy absent"]],
    ["all there", policy, both, []],
    ["one missing", policy, [both[0]!], ["apply NetworkPolicy absent"]],
    ["one changed", policy, [both[0]!, owned("NetworkPolicy", { digest: "x" })], ["apply NetworkPolicy drift"]],
    ["one of the version before", policy, [owned("ConfigMap", { digest: "before" }), both[1]!], [
      "apply ConfigMap outdated",
    ]],
    ["one made by somebody else", policy, [owned("ConfigMap", { managed: false }), both[1]!], [
      "apply ConfigMap foreign",
    ]],
    [
      "one made by somebody else, otherwise",
      policy,
      [owned("ConfigMap", { managed: false, digest: "x" }), both[1]!],
      ["apply ConfigMap foreign"],
    ],
    ["opted out of one", testPolicy({ netpol: false }), both, ["remove NetworkPolicy opted-out"]],
    ["opted out of both", testPolicy({ netpol: false, proxy: false }), both, [
      "remove ConfigMap opted-out",
      "remove NetworkPolicy opted-out",
    ]],
    ["not offloaded", undefined, both, ["remove ConfigMap not-offloaded", "remove NetworkPolicy not-offloaded"]],
    ["not offloaded, and made by somebody else", undefined, [owned("ConfigMap", { managed: false })], []],
    ["terminating", testPolicy({ terminating: true }), [], []],
    ["terminating and changed", testPolicy({ terminating: true }), [owned("ConfigMap", { digest: "x" })], []],
  ];
  for (const [name, of, have, steps] of table) {
    await t.step(name, () => assert.deepEqual(short(plan(of, have, templates, ["before"])), steps));
  }
});

Deno.test("plan() has nothing to do once its steps are done", () => {
  const done = plan(policy, [], templates).map((step) => {
    assert.equal(step.do, "apply");
    const object = JSON.parse((step as PlanStep & { do: "apply" }).desired.body);
    object.metadata.managedFields = [{ manager: "data-spacer", operation: "Apply" }];
    return ownedFacts(object.kind, object)!;
  });
  assert.deepEqual(plan(policy, done, templates), []);
});
