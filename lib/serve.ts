import config from "../deno.json" with { type: "json" };
import { readCommandLine } from "./cli/options.ts";
import type { Verb } from "./cli/verb.ts";
import { RESULTS, runController } from "./controller/controller.ts";
import { controllerNames, lead } from "./controller/lead.ts";
import { leaderIdentity, runLeader } from "./controller/leader.ts";
import { createReport } from "./controller/report.ts";
import { WorkQueue } from "./controller/work_queue.ts";
import { verdicts } from "./core/admission.ts";
import { becauses, drifts, objectTemplates, ownedNames } from "./core/desired_state.ts";
import { injectionTemplate } from "./core/injected.ts";
import { leaseTimings } from "./core/lease.ts";
import { liqo, objects, PRODUCT } from "./core/names.ts";
import { reasons } from "./core/reasons.ts";
import { nameservers } from "./core/resolv_conf.ts";
import type { Settings } from "./core/settings.ts";
import { KubeClient } from "./kube/client.ts";
import { loadCredentials } from "./kube/credentials.ts";
import { EventRecorder } from "./kube/events.ts";
import { resources } from "./kube/resources.ts";
import { RESTART_REASONS } from "./kube/restart.ts";
import { createLog, type Log } from "./ops/log.ts";
import { createMetrics, type Metrics, type Series } from "./ops/metrics.ts";
import { OpsServer } from "./ops/ops_server.ts";
import { sparingLog } from "./ops/sparing_log.ts";
import { cacheNames, Caches } from "./state/caches.ts";
import { Contract } from "./state/contract.ts";
import { NamespaceStore } from "./state/namespaces.ts";
import { createAdmissionHandler } from "./webhook/admission_server.ts";
import { CaCaches } from "./webhook/ca_caches.ts";
import type { KeyPair } from "./webhook/certificate_source.ts";
import { endReasons } from "./webhook/connection.ts";
import { Front } from "./webhook/front.ts";
import { MountedFiles } from "./webhook/mounted_files.ts";
import { OwnCa, serviceNames, SETTLE_MS } from "./webhook/own_ca.ts";
import { createReview } from "./webhook/review.ts";
import { selfDial } from "./webhook/self_dial.ts";

const usage = { usage: "data-spacer [serve] [FLAGS]", flags: {} };

/** Longest time from SIGTERM to the end of the process, ms. */
const STOP_MS = 10_000;

/** `serve`: the controller and the webhook, until SIGTERM or SIGINT. Exit code 0 then, 1 after a fault. */
export const run: Verb = async (args, process) => {
  const line = readCommandLine(args, process, usage);
  if (line === undefined) return 0;
  const { settings } = line;
  const log = createLog({ level: settings.logLevel, write: process.out }).with({ replica: settings.podName });
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  const onFault = (event: PromiseRejectionEvent | ErrorEvent) =>
    die(log, "reason" in event ? event.reason : event.error);
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, onSignal);
  addEventListener("unhandledrejection", onFault);
  addEventListener("error", onFault);
  stop.signal.addEventListener("abort", () => {
    log.info("Stopping");
    Deno.unrefTimer(setTimeout(() => die(log, new Error(`Cannot stop within ${STOP_MS} ms`)), STOP_MS));
  });
  try {
    await serve({ ...settings, resolvers: await resolversOf(settings, process.read) }, log, stop.signal);
    log.info("Stopped");
    return 0;
  } catch (error) {
    log.error("Cannot go on", { error });
    return 1;
  }
};

/** An error that nobody caught leaves the process in an unknown state: end it, and let Kubernetes start a new one. */
function die(log: Log, error: unknown): never {
  log.error("Cannot go on", { error });
  Deno.exit(1);
}

/** @throws {Error} naming the flag, if there are no resolvers. */
async function resolversOf(settings: Settings, read: (file: string) => Promise<string>): Promise<string[]> {
  if (settings.resolvers.length > 0) return settings.resolvers;
  const found = nameservers(await read("/etc/resolv.conf").catch(() => ""));
  if (found.length > 0) return found;
  throw new Error("Cannot tell the cluster's DNS: /etc/resolv.conf names no server; give its addresses by --resolvers");
}

/** Every value of the metrics' labels. */
const series: Series = {
  controllers: controllerNames,
  results: RESULTS,
  admissions: verdicts,
  kinds: Object.keys(ownedNames),
  becauses,
  drifts,
  watches: cacheNames,
  restarts: RESTART_REASONS,
  events: Object.keys(reasons),
  certificates: ["webhook"],
  connectionEnds: Object.keys(endReasons),
};

/** One replica: every part wired to the others, until the signal is aborted. */
async function serve(settings: Settings, log: Log, signal: AbortSignal): Promise<void> {
  const { namespace } = settings;
  const credentials = await loadCredentials({ kubeconfig: settings.kubeconfig, context: settings.context });
  using client = new KubeClient({ credentials, fieldManager: PRODUCT, userAgent: PRODUCT });
  const queues = { namespaces: new WorkQueue(), pods: new WorkQueue(), contract: new WorkQueue() };
  const metrics = createMetrics({ version: config.version, series, queues });

  const templates = objectTemplates(settings);
  const mine = injectionTemplate(settings, templates);
  const caches = new Caches({ client, namespace, log, onRestart: metrics.watchRestarted });
  const contract = new Contract({ client, namespace, mine, published: caches.contract, now: Date.now });
  const store = new NamespaceStore(caches, settings, () => contract.injection());

  const strangers = sparingLog(log, { now: () => performance.now() }); // whoever reaches the port could fill the disk
  const front = new Front({
    hostname: settings.bindAddress,
    port: settings.webhookPort,
    ended: metrics.connectionEnded,
    failed: (error) => strangers.error("Cannot serve connection", { error }),
    handler: createAdmissionHandler({
      review: createReview({
        view: (name) => store.get(name),
        injection: () => contract.injection(),
        decided: ({ kind, reason }) => metrics.admitted(kind, reason),
      }),
      observe: {
        answered: (_status, ms) => metrics.answered(ms),
        refused: (status, error) => {
          metrics.admitted("error", "bad-review");
          strangers.warn("Refused request", { status, error });
        },
        failed: (error) => {
          metrics.admitted("error", "internal");
          strangers.error("Cannot review", { error });
        },
      },
    }),
  });
  const certificate = certificates(settings, client, log, metrics);
  const serverName = serviceNames(settings.serviceName, namespace)[0]!;
  let published = false;
  const ops = new OpsServer({
    hostname: settings.bindAddress,
    port: settings.opsPort,
    metrics,
    log,
    checks: {
      caches: () => caches.hasSynced ? Promise.resolve() : Promise.reject(new Error("not synced yet")),
      contract: () => published ? Promise.resolve() : Promise.reject(new Error("not published yet")),
      certificate: certificate.check,
      webhook: (limit) => selfDial({ hostname: settings.bindAddress, port: front.addr.port, serverName }, limit),
    },
  });
  const events = new EventRecorder({ client, component: PRODUCT, instance: settings.podName, log });
  const report = createReport({
    event: (regarding, event) => events.record({ regarding, ...event }),
    log,
    count: metrics.reported,
  });

  await refuseForeignNamespace(client, namespace, signal);
  const background = new AbortController(); // outlives the leader, who reports to the end
  const work = [
    caches.run(background.signal),
    certificate.run(background.signal, (pair) => front.use(pair)),
    events.run(background.signal),
  ];
  const ready = (async () => {
    await Promise.all([contract.publish(signal), caches.synced()]);
    contract.follow();
    published = true;
  })();
  const renewing = (async () => {
    await ready;
    const reconcile = (_key: string, running: AbortSignal) => contract.renew(running);
    await runController({ name: "own-contract", sources: [contract], reconcile, workers: 1, log }, background.signal);
  })();
  const leading = (async () => {
    await ready;
    await runLeader({
      client,
      namespace,
      name: objects.lease,
      identity: leaderIdentity(settings.podName),
      timings: leaseTimings(settings.leaseMs),
      log,
      onChange: metrics.leads,
      lead: (term) =>
        lead({
          client,
          settings,
          templates,
          store,
          contract,
          owned: caches.owned,
          queues,
          report,
          log,
          result: metrics.reconciled,
          done: metrics.wrote,
          uninjected: metrics.uninjected,
        }, term),
    }, signal);
  })();
  try {
    await Promise.race([leading, renewing, ...work]);
  } finally {
    await front.drain({ graceMs: 500, ms: 5_000 });
    background.abort();
    await Promise.allSettled([renewing, ...work, events.flush(AbortSignal.timeout(1_000)), ops.shutdown()]);
  }
}

/** @throws {Error} if Liqo made our namespace for a consumer, who would then have rights in it. */
async function refuseForeignNamespace(client: KubeClient, name: string, signal: AbortSignal): Promise<void> {
  const { metadata } = await client.get(resources.Namespace, { name, signal });
  const consumer = metadata?.labels?.[liqo.remoteClusterId];
  if (consumer === undefined) return;
  throw new Error(
    `Cannot run in namespace "${name}": label ${liqo.remoteClusterId} "${consumer}" says that Liqo made it for a consumer; ` +
      "delete it and create it anew before peering",
  );
}

/** Where the webhook's certificate comes from, and whether API servers accept it. */
interface Certificates {
  /** Hands over each pair that is to be served. */
  run(signal: AbortSignal, use: (pair: KeyPair) => void): Promise<void>;
  /** Rejects while API servers cannot trust it. */
  check(): Promise<void>;
}

function certificates(settings: Settings, client: KubeClient, log: Log, metrics: Metrics): Certificates {
  const take = (use: (pair: KeyPair) => void) => (pair: KeyPair) => {
    use(pair);
    metrics.certificateEnds("webhook", pair.notAfter);
  };
  const { tlsCertFile: certFile, tlsKeyFile: keyFile } = settings;
  const [host] = serviceNames(settings.serviceName, settings.namespace);
  if (certFile === undefined || keyFile === undefined) return ownCertificates(settings, client, log, take);
  const source = new MountedFiles({ certFile, keyFile, host: host!, log });
  return {
    async run(signal, use) {
      for await (const pair of source.pairs(signal)) take(use)(pair);
    },
    check: () => Promise.resolve(), // whoever mounts the files has told the API servers
  };
}

function ownCertificates(
  settings: Settings,
  client: KubeClient,
  log: Log,
  take: (use: (pair: KeyPair) => void) => (pair: KeyPair) => void,
): Certificates {
  const { namespace, webhookConfiguration } = settings;
  const caches = new CaCaches({ client, namespace, webhookConfiguration, log });
  const source = new OwnCa({
    client,
    caches,
    namespace,
    webhookConfiguration,
    names: serviceNames(settings.serviceName, namespace),
    timings: { authorityMs: settings.caLifetimeMs, leafMs: settings.certificateLifetimeMs, settleMs: SETTLE_MS },
    log,
  });
  return {
    async run(signal, use) {
      const watching = caches.run(signal);
      for await (const pair of source.pairs(signal)) take(use)(pair);
      await watching;
    },
    check: () =>
      source.trusted
        ? Promise.resolve()
        : Promise.reject(new Error(`not trusted yet by webhook configuration "${webhookConfiguration}"`)),
  };
}
