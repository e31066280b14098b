import { decodeText } from "../../kube/base64.ts";
import { resources } from "../../kube/resources.ts";
import { type Certificate, readCertificates } from "../../webhook/certificates.ts";
import { type Check, type CheckDeps, fail, type Finding, ok, warn } from "./check.ts";
import { inParallel } from "./in_parallel.ts";
import { count, groups, someNames } from "./names.ts";
import { logs } from "./remedies.ts";
import { collect } from "./survey.ts";
import { webhookOf } from "./webhook.ts";

/** An authority that ends sooner than this should have been renewed long ago, ms. */
const SOON_MS = 7 * 86_400_000;

/** Whether the API server trusts what answers as our webhook. */
export const webhookTrust: Check = {
  id: "certificates",
  title: "caBundle and certificates of our webhook",
  where: "installed",
  async *run(deps) {
    const { survey, settings } = deps;
    const configuration = await survey.webhookConfiguration();
    const webhook = configuration && webhookOf(configuration, settings);
    if (webhook === undefined) return; // said by another check
    const { caBundle } = webhook.clientConfig;
    const pem = caBundle ? decodeText(caBundle) ?? "not base64" : undefined; // which the API server lets nobody write
    yield* examineBundle(pem, deps);
    const addresses = await endpoints(deps);
    if (addresses.length === 0) {
      yield fail(
        `Service "${settings.namespace}/${settings.serviceName}" has no ready endpoint: no pod can be created in offloaded namespaces`,
        `kubectl -n ${settings.namespace} get pods`,
      );
    } else if (pem !== undefined) yield* examineEndpoints(pem, addresses, deps);
  },
};

function* examineBundle(pem: string | undefined, { settings, now }: CheckDeps): Iterable<Finding> {
  const where = `caBundle of MutatingWebhookConfiguration "${settings.webhookConfiguration}"`;
  const remedy = `a replica writes it within a minute; if not, ${logs(settings.namespace)}`;
  if (pem === undefined) {
    yield fail(`The ${where} is missing: no pod can be created in offloaded namespaces`, remedy);
    return;
  }
  const { certificates, rest } = readCertificates(pem);
  if (rest) yield fail(`The ${where} holds something that is no certificate`, remedy);
  const valid = certificates.filter(({ notBefore, notAfter }) => notBefore <= now() && now() < notAfter);
  if (valid.length > 0) {
    const last = Math.max(...valid.map(({ notAfter }) => notAfter));
    const text = `The ${where} holds ${count(certificates.length, "certificate")}, valid until ${date(last)}`;
    yield last - now() < SOON_MS ? warn(text, remedy) : ok(text);
  } else if (certificates.length > 0) {
    yield fail(`The ${where} is not valid now: ${certificates.map(period).join("; ")}`, remedy);
  } else if (!rest) yield fail(`The ${where} is empty: no pod can be created in offloaded namespaces`, remedy);
}

interface Address {
  hostname: string;
  port: number;
}

async function endpoints({ client, settings }: CheckDeps): Promise<Address[]> {
  const { namespace, serviceName } = settings;
  const labelSelector = `kubernetes.io/service-name=${serviceName}`;
  const slices = await collect(client, resources.EndpointSlice, { namespace, labelSelector }, (slice) => slice);
  return slices.flatMap(({ endpoints, ports }) =>
    (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) => addresses.slice(0, 1))
      .flatMap((hostname) => (ports ?? []).flatMap(({ port }) => port === undefined ? [] : [{ hostname, port }]))
  );
}

async function* examineEndpoints(ca: string, addresses: Address[], deps: CheckDeps): AsyncIterable<Finding> {
  const { namespace, serviceName } = deps.settings;
  const name = `${serviceName}.${namespace}.svc`;
  const dialled = await inParallel(addresses, async (address) => ({
    at: `${address.hostname}:${address.port}`,
    result: await deps.dial({ ...address, name, ca }),
  }));
  const trusted = dialled.filter(({ result }) => result.kind === "trusted").map(({ at }) => at);
  if (trusted.length > 0) yield ok(`The caBundle vouches for the certificate of ${someNames(trusted)}`);
  const others = dialled.flatMap(({ at, result }) => result.kind === "trusted" ? [] : [{ at, ...result }]);
  for (const [, all] of groups(others, ({ kind, why }) => `${kind} ${why}`)) {
    const { kind, why } = all[0]!;
    const where = someNames(all.map(({ at }) => at));
    yield kind === "untrusted"
      ? fail(
        `The caBundle does not vouch for the certificate of ${where}: ${why}`,
        logs(namespace),
      )
      : ok(`The certificate of ${where} cannot be seen from here (${why}); the trial pods go through it`);
  }
}

function period({ notBefore, notAfter }: Certificate): string {
  return `${date(notBefore)} to ${date(notAfter)}`;
}

function date(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
