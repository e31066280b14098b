import assert from "node:assert/strict";
import { cpuUsage } from "node:process";
import { createMetrics } from "../../lib/ops/metrics.ts";

const series = {
  controllers: ["namespaces", "pods"],
  results: ["success", "error"],
  admissions: [{ verdict: "patch", reason: "injected" }, { verdict: "deny", reason: "rules" }],
  kinds: ["ConfigMap"],
  becauses: ["absent", "drift"],
  drifts: ["drift"],
  watches: ["namespaces"],
  restarts: ["expired", "stalled"],
  events: ["ObjectDrift"],
  certificates: ["leaf", "ca"],
  connectionEnds: ["idle"],
};

function create(stats = { depth: 0, oldestMs: 0 }) {
  const queue = { stats: () => stats };
  return createMetrics({ version: "1.2.3", series, queues: { namespaces: queue, pods: queue } });
}

/** Series and values, without help and type. */
async function scrape(metrics: { text(): Promise<string> }): Promise<Record<string, number>> {
  const lines = (await metrics.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(lines.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at + 1))];
  }));
}

Deno.test("createMetrics() has every series at 0 before anything happened", async () => {
  const all = await scrape(create());
  const ours = Object.fromEntries(
    Object.entries(all).filter(([name]) => name.startsWith("data_spacer_") && !name.includes("_bucket{")),
  );
  delete ours.data_spacer_event_loop_lag_seconds;
  assert.deepEqual(ours, {
    'data_spacer_reconciles_total{controller="namespaces",result="success"}': 0,
    'data_spacer_reconciles_total{controller="namespaces",result="error"}': 0,
    'data_spacer_reconciles_total{controller="pods",result="success"}': 0,
    'data_spacer_reconciles_total{controller="pods",result="error"}': 0,
    'data_spacer_queue_depth{controller="namespaces"}': 0,
    'data_spacer_queue_depth{controller="pods"}': 0,
    'data_spacer_queue_oldest_seconds{controller="namespaces"}': 0,
    'data_spacer_queue_oldest_seconds{controller="pods"}': 0,
    'data_spacer_admissions_total{verdict="patch",reason="injected"}': 0,
    'data_spacer_admissions_total{verdict="deny",reason="rules"}': 0,
    data_spacer_admission_seconds_sum: 0,
    data_spacer_admission_seconds_count: 0,
    'data_spacer_connections_ended_total{reason="idle"}': 0,
    'data_spacer_object_writes_total{kind="ConfigMap",because="absent"}': 0,
    'data_spacer_object_writes_total{kind="ConfigMap",because="drift"}': 0,
    'data_spacer_drift_repairs_total{kind="ConfigMap"}': 0,
    'data_spacer_watch_restarts_total{resource="namespaces",reason="expired"}': 0,
    'data_spacer_watch_restarts_total{resource="namespaces",reason="stalled"}': 0,
    'data_spacer_events_total{reason="ObjectDrift"}': 0,
    data_spacer_leader: 0,
    data_spacer_uninjected_pods: 0,
    'data_spacer_certificate_expiry_timestamp_seconds{certificate="leaf"}': 0,
    'data_spacer_certificate_expiry_timestamp_seconds{certificate="ca"}': 0,
    'data_spacer_build_info{version="1.2.3"}': 1,
  });
});

Deno.test("createMetrics() counts what it is told", async () => {
  const metrics = create({ depth: 3, oldestMs: 1_500 });
  metrics.reconciled("pods", "error");
  metrics.admitted("patch", "injected");
  metrics.admitted("patch", "injected");
  metrics.connectionEnded("idle");
  metrics.wrote("ConfigMap", "absent");
  metrics.wrote("ConfigMap", "drift");
  metrics.watchRestarted("namespaces", "stalled");
  metrics.reported("ObjectDrift");
  metrics.leads(true);
  metrics.uninjected(7);
  metrics.certificateEnds("leaf", 1_800_000_000_000);
  const all = await scrape(metrics);
  const expected = {
    'data_spacer_reconciles_total{controller="pods",result="error"}': 1,
    'data_spacer_reconciles_total{controller="pods",result="success"}': 0,
    'data_spacer_queue_depth{controller="pods"}': 3,
    'data_spacer_queue_oldest_seconds{controller="pods"}': 1.5,
    'data_spacer_admissions_total{verdict="patch",reason="injected"}': 2,
    'data_spacer_connections_ended_total{reason="idle"}': 1,
    'data_spacer_object_writes_total{kind="ConfigMap",because="absent"}': 1,
    'data_spacer_object_writes_total{kind="ConfigMap",because="drift"}': 1,
    'data_spacer_drift_repairs_total{kind="ConfigMap"}': 1,
    'data_spacer_watch_restarts_total{resource="namespaces",reason="stalled"}': 1,
    'data_spacer_events_total{reason="ObjectDrift"}': 1,
    data_spacer_leader: 1,
    data_spacer_uninjected_pods: 7,
    'data_spacer_certificate_expiry_timestamp_seconds{certificate="leaf"}': 1_800_000_000,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(all[name], value, name);
  metrics.leads(false);
  assert.equal((await scrape(metrics)).data_spacer_leader, 0);
});

Deno.test("createMetrics() sorts admissions into buckets from 0.5 ms to 1 s", async () => {
  const metrics = create();
  for (const ms of [0.3, 0.7, 30, 2_000]) metrics.answered(ms);
  const all = await scrape(metrics);
  const bucket = (le: string) => all[`data_spacer_admission_seconds_bucket{le="${le}"}`];
  assert.deepEqual([bucket("0.0005"), bucket("0.001"), bucket("0.02"), bucket("0.05"), bucket("1"), bucket("+Inf")], [
    1,
    2,
    2,
    3,
    3,
    4,
  ]);
  assert.ok(Math.abs(all.data_spacer_admission_seconds_sum! - 2.031) < 1e-9);
});

Deno.test("createMetrics() counts a value that nobody announced rather than to lose it or to fail", async () => {
  const metrics = create();
  metrics.admitted("deny", "news");
  metrics.admitted("deny", "news");
  assert.equal((await scrape(metrics))['data_spacer_admissions_total{verdict="deny",reason="news"}'], 2);
});

Deno.test("createMetrics() reads the process at each scrape, and CPU time does not add up twice", async () => {
  const metrics = create();
  const first = await scrape(metrics), second = await scrape(metrics);
  assert.ok(first.process_resident_memory_bytes! > 10e6);
  assert.ok(first.process_heap_bytes! > 1e6);
  assert.ok(Math.abs(first.process_start_time_seconds! - Date.now() / 1_000) < 600);
  assert.ok(first.process_cpu_seconds_total! > 0);
  assert.ok(second.process_cpu_seconds_total! >= first.process_cpu_seconds_total!);
  const { user, system } = cpuUsage();
  assert.ok(second.process_cpu_seconds_total! <= (user + system) / 1e6);
  assert.ok(first.data_spacer_event_loop_lag_seconds! >= 0);
});

Deno.test("createMetrics() shares nothing with another registry", async () => {
  const one = create(), other = create();
  one.reported("ObjectDrift");
  assert.equal((await scrape(other))['data_spacer_events_total{reason="ObjectDrift"}'], 0);
});

Deno.test("createMetrics() says the media type of its text", () => {
  assert.match(create().contentType, /^text\/plain; version=0\.0\.4/);
});
