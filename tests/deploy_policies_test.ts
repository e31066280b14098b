import assert from "node:assert/strict";
import type {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "kubernetes-types/admissionregistration/v1.d.ts";
import type { Container } from "kubernetes-types/core/v1.d.ts";
import type { ClusterRole } from "kubernetes-types/rbac/v1.d.ts";
import { publish } from "../lib/core/contract.ts";
import { injectionTemplate } from "../lib/core/injected.ts";
import {
  exception,
  injectedNames,
  labels,
  liqo,
  objects,
  policies,
  PRODUCT,
  RESERVED_PREFIX,
} from "../lib/core/names.ts";
import {
  interfaceAnnotations,
  kubeOvnNames,
  kubeOvnOwnNames,
  pluginAnnotations,
} from "../lib/core/rules/interface_annotations.ts";
import { all as manifests, only } from "./support/manifests.ts";
import { testSettings } from "./support/settings.ts";

const template = injectionTemplate(testSettings());
const [webhook] = only<MutatingWebhookConfiguration>("MutatingWebhookConfiguration").webhooks!;
const all = manifests<ValidatingAdmissionPolicy>("ValidatingAdmissionPolicy");
const bindings = manifests<ValidatingAdmissionPolicyBinding>("ValidatingAdmissionPolicyBinding");

function policy(name: string): NonNullable<ValidatingAdmissionPolicy["spec"]> {
  return all.find(({ metadata }) => metadata.name === name)!.spec!;
}

/** Every expression of a policy, on one line. */
function expressions(name: string): string {
  const { variables = [], validations = [], matchConditions = [] } = policy(name);
  return [...variables, ...validations, ...matchConditions].map(({ expression }) => expression).join("\n");
}

/** Texts between single quotes. */
function literals(expression: string): string[] {
  return [...expression.matchAll(/'([^']*)'/g)].map(([, text]) => text!);
}

Deno.test("there is a policy for each name, and a binding that denies; an error is a no", () => {
  assert.deepEqual(all.map(({ metadata }) => metadata.name), Object.values(policies));
  assert.ok(all.every(({ spec }) => spec!.failurePolicy === "Fail"));
  assert.deepEqual(
    bindings.map((
      { metadata, spec },
    ) => [metadata!.name, spec!.policyName, spec!.validationActions, spec!.matchResources]),
    Object.values(policies).map((name) => [name, name, ["Deny"], undefined]),
  );
});

Deno.test("what every refusal says is for the consumer to read: 403, a text, nothing internal", () => {
  for (const { metadata, spec } of all) {
    for (const { message, messageExpression = "", reason } of spec!.validations!) {
      assert.equal(reason, "Forbidden", metadata.name);
      assert.ok(message!.length > 20 && !message!.includes("\n"), metadata.name);
      assert.doesNotMatch(message! + messageExpression, /webhook|contract|sidecar|Envoy|Data Spacer|data-spacer/);
    }
  }
});

Deno.test("policies hold in offloaded namespaces, the one for creation where the webhook is asked", () => {
  const offloaded = [
    { key: liqo.remoteClusterId, operator: "Exists" },
    { key: liqo.tenantNamespace, operator: "DoesNotExist" },
    { key: liqo.tenantNamespaceV0, operator: "DoesNotExist" },
  ];
  const unpublished = { key: labels.allowPublish, operator: "NotIn", values: ["true"] };
  const besides: Record<string, object[]> = {
    [policies.podCreation]: [{ key: labels.applyWebhook, operator: "NotIn", values: ["false"] }],
    [policies.services]: [unpublished],
    [policies.ingresses]: [unpublished],
  };
  for (const { metadata: { name }, spec } of all) {
    const { namespaceSelector, objectSelector } = spec!.matchConstraints!;
    const selector = { matchExpressions: [...offloaded, ...besides[name] ?? []] };
    if (name === policies.namespaceLabels) {
      assert.deepEqual({ namespaceSelector, objectSelector }, {
        namespaceSelector: undefined,
        objectSelector: selector,
      });
    } else {assert.deepEqual({ namespaceSelector, objectSelector }, {
        namespaceSelector: selector,
        objectSelector: undefined,
      });}
  }
  assert.deepEqual(policy(policies.podCreation).matchConstraints!.namespaceSelector, webhook!.namespaceSelector);
});

Deno.test("each policy asks last for an exception of its own name, which a role grants and nobody is bound to", () => {
  for (const { metadata: { name }, spec } of all) {
    const { variables = [], validations = [] } = spec!;
    const [group, resource, own, verb] = literals(variables.find(({ name }) => name === "excepted")!.expression);
    assert.deepEqual([group, resource, verb], [exception.apiGroup, exception.resource, exception.verb], name);
    assert.equal(`${own}.${exception.apiGroup}`, name);
    for (const { expression } of validations) assert.match(expression, /(^|\|\| )variables\.excepted$/, name);
  }
  const role = manifests<ClusterRole>("ClusterRole").find(({ metadata }) => metadata!.name === exception.role)!;
  const { apiGroup, resource, verb } = exception;
  assert.deepEqual(role.rules, [{ apiGroups: [apiGroup], resources: [resource], verbs: [verb] }]);
  assert.equal(role.metadata!.labels, undefined); // nor is it aggregated to a role that others have
});

Deno.test("creation is judged by what replicas publish, and by our own containers' names and programs", () => {
  const { paramKind } = policy(policies.podCreation);
  assert.deepEqual(paramKind, { apiVersion: "v1", kind: "ConfigMap" });
  const refs = bindings.filter(({ spec }) => spec!.paramRef);
  assert.deepEqual(refs.map(({ spec }) => [spec!.policyName, spec!.paramRef]), [
    [policies.podCreation, { namespace: PRODUCT, name: objects.contract, parameterNotFoundAction: "Deny" }],
  ]);
  const [init, proxy] = JSON.parse(template.containers) as [Container, Container];
  const { expression } = policy(policies.podCreation).validations![0]!;
  const used = literals(expression);
  assert.deepEqual(used.slice(0, 2), [injectedNames.init, injectedNames.proxy]);
  assert.deepEqual([init.command!.slice(0, 2), init.command!.length], [["/bin/sh", "-c"], 3]);
  assert.deepEqual(proxy.command, ["/usr/local/bin/envoy"]);
  for (const text of [...init.command!.slice(0, 2), ...proxy.command!, proxy.restartPolicy!]) {
    assert.ok(used.includes(text), text);
  }

  const other = injectionTemplate(testSettings({ proxyImage: "other" }));
  const at = { now: 0 };
  const published = publish(publish(undefined, template, at), other, at)!;
  const keys = ["0", "1"].flatMap((n) => used.filter((text) => text.endsWith("-")).map((prefix) => prefix + n));
  assert.deepEqual(Object.keys(published).sort(), ["templates.json", ...keys].sort());
  assert.equal(published["init-script-1"], init.command![2]);
  assert.equal(published["proxy-image-0"], "other");
});

Deno.test("names of ours in expressions are those of the program", () => {
  for (const name of [policies.podChanges, policies.exec]) {
    assert.ok(expressions(name).includes(`startsWith('${RESERVED_PREFIX}')`));
  }
  const configuration = expressions(policies.proxyConfiguration);
  assert.ok(configuration.includes(`== '${objects.envoyConfig}'`));
  assert.ok(configuration.includes(`== 'system:serviceaccount:${PRODUCT}:${PRODUCT}'`));
  const prefix = labels.allowPublish.slice(0, labels.allowPublish.indexOf("/") + 1);
  const { remoteClusterId, tenantNamespace, tenantNamespaceV0, clusterIdV0 } = liqo;
  const guarded = policy(policies.namespaceLabels).variables!.find(({ name }) => name === "guarded")!;
  assert.deepEqual(
    literals(guarded.expression).sort(),
    [prefix, remoteClusterId, tenantNamespace, tenantNamespaceV0, clusterIdV0].sort(),
  );
  assert.ok(expressions(policies.namespaceLabels).includes(`'${liqo.namespaceMap}'`));
});

Deno.test("annotations that ask for an interface are those that the rule for new pods refuses", () => {
  const { expression } = policy(policies.podChanges).variables!.find(({ name }) => name === "requests")!;
  const lists = [...expression.matchAll(/ in \[([^\]]*)\]/g)].map(([, list]) => literals(list!));
  assert.deepEqual(lists, [
    pluginAnnotations,
    kubeOvnNames,
    kubeOvnOwnNames,
    interfaceAnnotations.filter((key) => !/^(k8s\.v1\.cni\.cncf\.io|v1\.multus-cni\.io)\//.test(key)),
  ]);
  const families = [...expression.matchAll(/(\w+)\('([^']*)'\)/g)].map(([, how, text]) => [how, text]);
  assert.deepEqual(families, [
    ["contains", ".kubernetes.io/"],
    ["indexOf", "/"],
    ["startsWith", "ovn.kubernetes.io/"],
    ["contains", ".ovn.kubernetes.io/"],
    ["indexOf", "/"],
    ["startsWith", "k8s.v1.cni.cncf.io/"],
    ["startsWith", "v1.multus-cni.io/"],
    ["endsWith", "/network-status"],
    ["endsWith", "/networks-status"],
  ]);
});
