import type { MutatingWebhook, MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import { canonicalJson } from "../../core/digest.ts";
import { labels, liqo, MUTATE_PATH } from "../../core/names.ts";
import { type Check, fail, ok } from "./check.ts";
import { reapply } from "./remedies.ts";

/** What decides which pods come to us and what happens when we do not answer. A test compares it with `deploy/base`. */
export const wantedWebhook = {
  rules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"], scope: "Namespaced" }],
  matchPolicy: "Equivalent",
  namespaceSelector: {
    matchExpressions: [
      { key: liqo.remoteClusterId, operator: "Exists" },
      { key: liqo.tenantNamespace, operator: "DoesNotExist" },
      { key: liqo.tenantNamespaceV0, operator: "DoesNotExist" },
      { key: labels.applyWebhook, operator: "NotIn", values: ["false"] },
    ],
  },
  objectSelector: {},
  matchConditions: undefined,
  failurePolicy: "Fail",
  sideEffects: "None",
  reinvocationPolicy: "IfNeeded",
} as const satisfies { [key in keyof MutatingWebhook]?: unknown };

/** Whether the API server is told to ask us about every pod that we must see. */
export const webhookRegistration: Check = {
  id: "webhook",
  title: "registration of our webhook",
  where: "installed",
  async *run({ survey, settings }) {
    const configuration = await survey.webhookConfiguration();
    const name = `MutatingWebhookConfiguration "${settings.webhookConfiguration}"`;
    if (configuration === undefined) {
      yield fail(`${name} is not there: pods of consumers run without the proxy`, reapply);
      return;
    }
    const webhook = webhookOf(configuration, settings);
    if (webhook === undefined) {
      const service = `${settings.namespace}/${settings.serviceName}`;
      yield fail(
        `${name} does not call ${MUTATE_PATH} of Service "${service}": pods of consumers run without the proxy`,
        reapply,
      );
      return;
    }
    const wrong = [...differences(webhook)];
    yield* wrong.map((text) => fail(`${name}: ${text}`, reapply));
    if (wrong.length === 0) yield ok(`${name} is as it should be`);
  },
};

/** The webhook that calls our Service. */
export function webhookOf(
  configuration: MutatingWebhookConfiguration,
  { namespace, serviceName }: { namespace: string; serviceName: string },
): MutatingWebhook | undefined {
  return configuration.webhooks?.find(({ clientConfig: { service } }) =>
    service?.namespace === namespace && service.name === serviceName && service.path === MUTATE_PATH
  );
}

function* differences(webhook: MutatingWebhook): Iterable<string> {
  for (const [field, wanted] of Object.entries(wantedWebhook)) {
    const present = comparable(webhook[field as keyof MutatingWebhook]);
    if (present !== comparable(wanted)) yield `${field} must be ${comparable(wanted)}, but is ${present}`;
  }
}

/** Empty is as good as absent, and the order of selectors' terms says nothing. */
function comparable(value: unknown): string {
  if (value === undefined || value === null) return "absent";
  if (Array.isArray(value)) return value.length === 0 ? "absent" : `[${value.map(comparable).sort().join(",")}]`;
  if (typeof value !== "object") return canonicalJson(value);
  const members = Object.keys(value).sort().map((key) =>
    `${JSON.stringify(key)}:${comparable(value[key as keyof typeof value])}`
  );
  return members.length === 0 ? "absent" : `{${members.join(",")}}`;
}
