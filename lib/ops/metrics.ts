import { cpuUsage } from "node:process";
// The four modules alone: the package's main one adds 26 ms and 6 MB for cluster and default metrics that we do not use.
import CounterModule from "prom-client/lib/counter.js";
import GaugeModule from "prom-client/lib/gauge.js";
import HistogramModule from "prom-client/lib/histogram.js";
import RegistryModule from "prom-client/lib/registry.js";

const Counter = CounterModule as typeof import("prom-client").Counter;
const Gauge = GaugeModule as typeof import("prom-client").Gauge;
const Histogram = HistogramModule as typeof import("prom-client").Histogram;
const Registry = RegistryModule as typeof import("prom-client").Registry;

/** Every value that a label can have: all series are there from the start, so that their rates are right from the first scrape. */
export interface Series {
  controllers: readonly string[];
  /** How a reconciliation can end. */
  results: readonly string[];
  /** Pairs, since not every verdict has every reason. */
  admissions: readonly { verdict: string; reason: string }[];
  /** Kinds of the objects that we keep. */
  kinds: readonly string[];
  /** Why one of them is written. */
  becauses: readonly string[];
  /** Those of them that are somebody else's doing. */
  drifts: readonly string[];
  /** Watched resources. */
  watches: readonly string[];
  /** Why a watch began anew. */
  restarts: readonly string[];
  /** Reasons of Events. */
  events: readonly string[];
  /** Certificates whose end is known. */
  certificates: readonly string[];
  /** Why a connection to the webhook can end. */
  connectionEnds: readonly string[];
}

/** What {@linkcode createMetrics} needs. */
export interface MetricsOptions {
  version: string;
  series: Series;
  /** Asked at each scrape, by controller. */
  queues: Readonly<Record<string, { stats(): { depth: number; oldestMs: number } }>>;
}

/** What is counted, for `/metrics`. No label ever holds the name of an object: a consumer could make as many as it likes. */
export interface Metrics {
  /** A reconciliation ended. */
  reconciled(controller: string, result: string): void;
  /** A review was decided, or could not be. */
  admitted(verdict: string, reason: string): void;
  /** An admission request was answered, `ms` after its head had come. */
  answered(ms: number): void;
  /** A connection to the webhook ended. */
  connectionEnded(reason: string): void;
  /** One of our objects was written or removed. */
  wrote(kind: string, because: string): void;
  /** A watch began anew. */
  watchRestarted(watch: string, reason: string): void;
  /** An Event was given. */
  reported(reason: string): void;
  /** This replica leads, or does no more. */
  leads(leading: boolean): void;
  /** So many pods run without the proxy although they should have it. */
  uninjected(pods: number): void;
  /** A certificate in use ends then, ms since 1970. */
  certificateEnds(certificate: string, atMs: number): void;
  /** All of it in Prometheus' text format. */
  text(): Promise<string>;
  /** Media type of `text`. */
  readonly contentType: string;
}

/** 0.5 ms to 1 s: the API server waits for each pod's admission, and gives up after 5 s. */
const ADMISSION_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

const PREFIX = "data_spacer_";

/** Metrics in a registry of their own. An admission costs two observations, 0.7 µs together, so nothing is buffered. */
export function createMetrics({ version, series, queues }: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];

  /** A counter, by the values of its labels. */
  function counter(name: string, help: string, labelNames: string[], all: string[][]): (...values: string[]) => void {
    const metric = new Counter({ name: PREFIX + name, help, labelNames, registers });
    const children = new Map<string, { inc(by?: number): void }>();
    const add = (values: string[]) => {
      const child = metric.labels(...values);
      children.set(values.join(), child);
      return child;
    };
    for (const values of all) add(values).inc(0);
    return (...values) => (children.get(values.join()) ?? add(values)).inc();
  }

  function gauge(name: string, help: string): (value: number) => void {
    const metric = new Gauge({ name: PREFIX + name, help, registers });
    return (value) => metric.set(value);
  }

  /** A gauge by controller, read from the queues at each scrape. */
  function queueGauge(name: string, help: string, read: (stats: { depth: number; oldestMs: number }) => number): void {
    new Gauge({
      name: PREFIX + name,
      help,
      labelNames: ["controller"],
      registers,
      collect() {
        for (const [controller, queue] of Object.entries(queues)) this.set({ controller }, read(queue.stats()));
      },
    });
  }

  const reconciled = counter(
    "reconciles_total",
    "Reconciliations by how they ended",
    ["controller", "result"],
    pairs(series.controllers, series.results),
  );
  queueGauge("queue_depth", "Keys that are due and not yet worked on", ({ depth }) => depth);
  queueGauge("queue_oldest_seconds", "How long the longest-waiting of them has been due", (s) => s.oldestMs / 1_000);

  const admitted = counter(
    "admissions_total",
    "Reviews of pods by verdict and reason",
    ["verdict", "reason"],
    series.admissions.map(({ verdict, reason }) => [verdict, reason]),
  );
  const seconds = new Histogram({
    name: `${PREFIX}admission_seconds`,
    help: "Time from the head of an admission request to its answer",
    buckets: ADMISSION_BUCKETS,
    registers,
  });

  const connectionEnded = counter(
    "connections_ended_total",
    "Connections to the webhook by why they ended; all but done, drained and retired are limits",
    ["reason"],
    series.connectionEnds.map((reason) => [reason]),
  );

  const wrote = counter(
    "object_writes_total",
    "Objects in offloaded namespaces that were made, changed or removed, by why",
    ["kind", "because"],
    pairs(series.kinds, series.becauses),
  );
  const repaired = counter(
    "drift_repairs_total",
    "Those of these writes that undid what somebody else had changed, deleted or put in our object's place",
    ["kind"],
    series.kinds.map((kind) => [kind]),
  );
  const watchRestarted = counter(
    "watch_restarts_total",
    "Watches that began anew, by why",
    ["resource", "reason"],
    pairs(series.watches, series.restarts),
  );
  const reported = counter(
    "events_total",
    "What an operator must know, as in the Events",
    ["reason"],
    series.events.map((reason) => [reason]),
  );

  const leader = gauge("leader", "1 if this replica leads, else 0");
  const uninjected = gauge("uninjected_pods", "Pods without the proxy that should have it; counted by the leader");
  const expiry = new Gauge({
    name: `${PREFIX}certificate_expiry_timestamp_seconds`,
    help: "When a certificate in use ends; 0 while there is none",
    labelNames: ["certificate"],
    registers,
  });
  for (const certificate of series.certificates) expiry.set({ certificate }, 0);
  new Gauge({ name: `${PREFIX}build_info`, help: "Version that runs", labelNames: ["version"], registers })
    .set({ version }, 1);
  addProcessMetrics(registry);

  return {
    reconciled,
    admitted,
    connectionEnded,
    answered: (ms) => seconds.observe(ms / 1_000),
    wrote(kind, because) {
      wrote(kind, because);
      if (series.drifts.includes(because)) repaired(kind);
    },
    watchRestarted,
    reported,
    leads: (leading) => leader(leading ? 1 : 0),
    uninjected,
    certificateEnds: (certificate, atMs) => expiry.set({ certificate }, atMs / 1_000),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function pairs(first: readonly string[], second: readonly string[]): string[][] {
  return first.flatMap((a) => second.map((b) => [a, b]));
}

/** Under the names that Prometheus gives them for every process, and how late the event loop is. */
function addProcessMetrics(registry: InstanceType<typeof Registry>): void {
  const registers = [registry];
  const read = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  const start = performance.timeOrigin / 1_000;
  read("process_start_time_seconds", "Start of the process, since 1970", () => start);
  read("process_resident_memory_bytes", "Resident memory", () => Deno.memoryUsage().rss);
  read("process_heap_bytes", "JavaScript heap in use", () => Deno.memoryUsage().heapUsed);
  new Counter({
    name: "process_cpu_seconds_total",
    help: "User and system CPU time",
    registers,
    collect() {
      const { user, system } = cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: `${PREFIX}event_loop_lag_seconds`,
    help: "How late a timer fired during this scrape",
    registers,
    async collect() {
      const due = performance.now() + 1;
      await new Promise((resolve) => setTimeout(resolve, 1));
      this.set(Math.max(0, performance.now() - due) / 1_000);
    },
  });
}
