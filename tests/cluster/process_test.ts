import assert from "node:assert/strict";
import { runtimeFlags } from "../../deploy/runtime_flags.ts";
import { testReview } from "../support/reviews.ts";
import { ROOT } from "../support/tree.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { KINDS, Operator } from "./operator.ts";
import { until } from "./processes.ts";
import type { Replica } from "./replica.ts";
import { Wire } from "./wire.ts";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const operator = new Operator(cluster);
const liqo = await Liqo.install(cluster);
const dataSpacer = await startDataSpacer(cluster, { env: { LOG_LEVEL: "debug" } });
const { replica } = dataSpacer;

async function get(of: Replica, path: string, method = "GET"): Promise<{ status: number; text: string }> {
  const response = await fetch(new URL(path, of.ops), { method });
  return { status: response.status, text: await response.text() };
}

/** Every series of /metrics but for its value. */
async function series(): Promise<string[]> {
  const lines = (await replica.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => line.slice(0, line.lastIndexOf(" "))).sort();
}

Deno.test("/metrics has all series from the start, and none more after work: no label holds the name of an object", async () => {
  const atStart = await series();
  for (
    const name of ["reconciles_total", "queue_depth", "queue_oldest_seconds", "admissions_total", "leader"].concat(
      ["admission_seconds_bucket", "certificate_expiry_timestamp_seconds", "drift_repairs_total", "uninjected_pods"],
      ["watch_restarts_total", "events_total", "build_info"],
    )
  ) {
    assert.ok(atStart.some((line) => line.startsWith(`data_spacer_${name}`)), `no ${name}`);
  }
  const buckets = atStart.flatMap((line) => /_admission_seconds_bucket\{le="([^"]+)"/.exec(line)?.[1] ?? []);
  assert.deepEqual(
    buckets.filter((le) => le !== "+Inf").map(Number).sort((a, b) => a - b).filter((_, i, all) =>
      i === 0 || i === all.length - 1
    ),
    [0.0005, 1],
  );

  await liqo.createTenantNamespace("pharma");
  await liqo.createOffloadedNamespace("trial-pharma", { labels: { "data-space/apply-netpol": "maybe" } });
  await operator.holds("trial-pharma", KINDS);
  const good = await liqo.createPod(await liqoPod("trial-pharma"), { retryMs: 5_000 });
  assert.ok(good.created, JSON.stringify(good));
  const bad = await liqoPod("trial-pharma", "bad");
  bad.spec!.containers[0]!.name = "data-space-mine";
  assert.ok(!(await liqo.createPod(bad)).created);
  await operator.delete(operator.path("ConfigMap", "trial-pharma"));
  await operator.holds("trial-pharma", KINDS);
  await operator.event("ObjectDrift", "trial-pharma");

  assert.deepEqual(await series(), atStart);
  // The label that means nothing is to be reminded of, so the namespace comes again.
  assert.ok(await replica.metric("data_spacer_reconciles_total", { controller: "namespaces", result: "requeue" }) > 0);
  assert.ok(await replica.metric("data_spacer_admissions_total", { verdict: "patch" }) >= 1);
  assert.ok(await replica.metric("data_spacer_admissions_total", { verdict: "deny" }) >= 1);
  assert.ok(await replica.metric("data_spacer_admission_seconds_count") >= 2);
  assert.equal(await replica.metric("data_spacer_drift_repairs_total", { kind: "ConfigMap" }), 1);
  assert.equal(await replica.metric("data_spacer_leader"), 1);
  const days = (await replica.metric("data_spacer_certificate_expiry_timestamp_seconds") - Date.now() / 1_000) / 86_400;
  assert.ok(days > 29 && days <= 30, `${days} days`);
});

Deno.test("/healthz and /readyz say yes, and nothing else is there", async () => {
  assert.deepEqual(await get(replica, "/healthz"), { status: 200, text: "ok\n" });
  const { status, text } = await get(replica, "/readyz");
  assert.equal(status, 200, text);
  for (const check of ["caches", "webhook"]) assert.match(text, new RegExp(`^${check}: ok$`, "m"));
  assert.equal((await get(replica, "/")).status, 404);
  assert.equal((await get(replica, "/metrics", "POST")).status, 405);
});

Deno.test("without an API server a replica is alive and not ready, and ready as soon as there is one", async () => {
  const wire = await Wire.lay(cluster, "late", dataSpacer);
  await wire.freeze();
  const starting = dataSpacer.startReplica({ flags: [wire.flag] });
  const late = dataSpacer.replicas.at(-1)!;
  await until(async () => await get(late, "/healthz").catch(() => undefined), { ms: 5_000, what: "/healthz" });
  const { status, text } = await get(late, "/readyz");
  assert.equal(status, 503);
  assert.match(text, /^caches: not synced yet$/m);
  await wire.thaw();
  await starting;
  assert.equal((await get(late, "/readyz")).status, 200);

  // Its Lease cannot be given back, nor its Events written, and it ends in time all the same.
  await wire.freeze();
  const start = performance.now();
  assert.equal(await late.stop(), 0);
  assert.ok(performance.now() - start < 10_000, `${performance.now() - start} ms`);
});

/** A connection to a replica's webhook, as an API server has it: its certificate is for the Service, by the caBundle. */
async function connect(to: Replica): Promise<Deno.TlsConn> {
  const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/data-spacer";
  const { webhooks: [{ clientConfig }] } = await cluster.call<{ webhooks: [{ clientConfig: { caBundle: string } }] }>(
    path,
  );
  const connection = await Deno.connect({ hostname: to.webhook.hostname, port: Number(to.webhook.port) });
  const pem = atob(clientConfig.caBundle).split(/(?<=-----END CERTIFICATE-----)/);
  return await Deno.startTls(connection, { hostname: "data-spacer.data-spacer.svc", caCerts: pem });
}

/** What comes until the end, which may come without a word of TLS. */
async function readAll(connection: Deno.TlsConn): Promise<string> {
  let text = "";
  try {
    for await (const part of connection.readable.pipeThrough(new TextDecoderStream())) text += part;
  } catch (error) {
    if (!(error instanceof Deno.errors.UnexpectedEof)) throw error;
  }
  return text;
}

Deno.test("SIGTERM and SIGINT: what is in flight is answered, who says nothing is left, exit 0 within 10 s", async (t) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    await t.step(signal, async () => {
      const ending = await dataSpacer.startReplica();
      using asking = await connect(ending);
      using silent = await connect(ending);
      using trickling = await connect(ending);
      const pod = await liqoPod("trial-pharma", "late");
      const review = JSON.stringify(testReview(pod, { uid: "uid-of-the-review" }));
      const request = new TextEncoder().encode(
        `POST /mutate/pod HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${review.length}\r\n\r\n${review}`,
      );
      const half = request.length >> 1;
      await asking.write(request.subarray(0, half));
      if (signal === "SIGTERM") await trickling.write(request.subarray(0, half)); // it has 5 s to go on
      await until(async () => await ending.metric("data_spacer_leader") === 0 || undefined, {
        ms: 1_000,
        what: "answer",
      });
      const start = performance.now();
      const ended = cluster.processes.stop(ending.name, signal, 15_000);
      await until(async () => (await ending.logs()).some(({ message }) => message === "Stopping") || undefined, {
        ms: 2_000,
        what: "begin of the end",
      });
      for (let rest = request.subarray(half); rest.length > 0;) rest = rest.subarray(await asking.write(rest));
      const answer = await readAll(asking);
      assert.match(answer, /^HTTP\/1\.1 200 /);
      assert.match(answer, /"uid-of-the-review"/);
      assert.equal(await ended, 0);
      const ms = performance.now() - start;
      assert.ok(ms < 10_000, `${ms} ms`);
      assert.equal((await ending.logs()).at(-1)!.message, "Stopped");
      await ending.leave();
      assert.ok(silent);
    });
  }
});

Deno.test("an error that nobody handles is logged, and ends the process with code 1", async (t) => {
  const faults = {
    "a rejection": `void Promise.reject(new Error("lost in the dark"))`,
    "an exception": `throw new Error("lost in the dark")`,
  };
  for (const [name, fault] of Object.entries(faults)) {
    await t.step(name, async () => {
      const preload = await Deno.makeTempFile({ dir: cluster.processes.folder, suffix: ".js" });
      // It happens in the midst of work, when it is told to; in a timer, so that no caller of ours is there to catch it.
      await Deno.writeTextFile(preload, `Deno.addSignalListener("SIGUSR1", () => setTimeout(() => { ${fault} }));`);
      const flags = runtimeFlags.workstation;
      const faulty = await dataSpacer.startReplica({
        command: [Deno.execPath(), "run", "--quiet", "--preload", preload, ...flags, `${ROOT}main.ts`],
      });
      Deno.kill((await faulty.pid())!, "SIGUSR1");
      assert.equal(await until(() => faulty.exitCode(), { ms: 5_000, what: "end of the process" }), 1);
      const { level, message, error } = (await faulty.logs()).at(-1)!;
      assert.deepEqual([level, message], ["error", "Cannot go on"]);
      assert.equal((error as Error).message, "lost in the dark");
      await faulty.leave();
    });
  }
});

Deno.test("what cannot be run with ends the start with a message that names it", async (t) => {
  const fails = (flags: string[], message: RegExp, env: Record<string, string> = {}) =>
    assert.rejects(dataSpacer.startReplica({ flags, env }), message);
  await t.step("a flag", () => fails(["--workers=many"], /ended with 2:[^]*--workers/));
  await t.step("a variable", () => fails([], /ended with 2:[^]*PROXY_UIDS/, { PROXY_UIDS: "none" }));
  await t.step("a port in use", () => fails([`--ops-port=${replica.ops.port}`], /ended with 1:[^]*"Cannot go on"/));
  await t.step(
    "a kubeconfig that is not there",
    () => fails([`--kubeconfig=${cluster.processes.folder}/none`], /ended with 1:[^]*kubeconfig/),
  );
  await t.step("our namespace made by Liqo", async () => {
    await operator.label("data-spacer", { "liqo.io/remote-cluster-id": "pharma" });
    await fails([], /ended with 1:[^]*Cannot run in namespace \\"data-spacer\\"[^]*liqo.io\/remote-cluster-id/);
    await operator.label("data-spacer", { "liqo.io/remote-cluster-id": null });
  });
});

Deno.test("every line of every log is JSON with time, level, message and replica, down to debug", async () => {
  const levels = new Set<string>();
  for (const { name } of dataSpacer.replicas) {
    const logs = await dataSpacer.replicas.find((replica) => replica.name === name)!.logs();
    for (const line of logs) {
      if (typeof line.text === "string" && /^Cannot use (--workers|PROXY_UIDS) /.test(line.text)) continue; // no log yet
      assert.ok(line.message && Date.parse(String(line.time)) > 0, JSON.stringify(line));
      assert.ok(["debug", "info", "warn", "error"].includes(String(line.level)), JSON.stringify(line));
      assert.equal(line.replica, name);
      levels.add(String(line.level));
    }
  }
  assert.deepEqual([...levels].sort(), ["debug", "error", "info", "warn"]);
});
