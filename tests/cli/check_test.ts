import assert from "node:assert/strict";
import { report, run } from "../../lib/cli/check.ts";
import type { Format } from "../../lib/cli/check/output.ts";
import { CertificateMaker } from "../../lib/webhook/x509.ts";
import { runVerb, type Surroundings } from "../support/run_verb.ts";
import { type FakeCluster, healthyCluster } from "./check/fake_cluster.ts";

const maker = await CertificateMaker.load();
const ca = await maker.authority({ nowMs: Date.parse("2026-11-24T12:00:00Z"), lifetimeMs: 86_400_000_000 });

/** What the verb prints about a cluster. */
function examine(cluster: FakeCluster, format: Format = "text", around: Surroundings = {}) {
  return runVerb((_, process) => report(cluster.deps(), process, format), [], around);
}

Deno.test("check of a cluster where all is well is all ok and ends with 0", async () => {
  const { code, stdout } = await examine(await healthyCluster(ca.cert));
  const lines = stdout.trimEnd().split("\n");
  assert.deepEqual(lines.filter((line) => !line.startsWith("ok  ")), ["16 ok, 0 warnings, 0 failures"]);
  assert.equal(code, 0);
  // Aligned: every message begins in the same column.
  assert.deepEqual(new Set(lines.slice(0, -1).map((line) => /^ok {4}[a-z-]+ +/.exec(line)?.[0].length)).size, 1);
});

Deno.test("check ends with 0 on warnings and with 1 on a failure, and prints the remedy of each", async () => {
  const cluster = await healthyCluster(ca.cert);
  cluster.drop("Node");
  const warned = await examine(cluster);
  assert.equal(warned.code, 0);
  assert.match(warned.stdout, /^warn {2}kubelets +The cluster has no nodes: no pod can run; remedy: add a node$/m);
  assert.match(warned.stdout, /\n15 ok, 1 warning, 0 failures\n$/);
  cluster.drop("NetworkPolicy");
  const failed = await examine(cluster);
  assert.equal(failed.code, 1);
  assert.match(
    failed.stdout,
    /^fail {2}objects +NetworkPolicy "data-space-network-policy" is missing in 1 namespace: trial; remedy: /m,
  );
  assert.match(failed.stdout, /, 1 failure\n$/);
});

Deno.test("check before the installation examines the cluster and ends with 0", async () => {
  const cluster = await healthyCluster();
  for (const kind of ["Deployment", "MutatingWebhookConfiguration", "NetworkPolicy", "ConfigMap"]) cluster.drop(kind);
  const { code, stdout } = await examine(cluster);
  const ids = stdout.split("\n").slice(0, -2).map((line) => line.split(/ +/)[1]);
  assert.deepEqual(ids, ["api-server", "kubelets", "liqo", "network-policy", "namespace", "installation", "offloaded"]);
  assert.equal(code, 0);
});

Deno.test("check --output json prints an object a line and nothing else", async () => {
  const cluster = await healthyCluster(ca.cert);
  cluster.drop("Node");
  const { stdout } = await examine(cluster, "json", { terminal: true });
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines.length, 16);
  assert.deepEqual(lines[0], { check: "api-server", level: "ok", message: "The API server is Kubernetes v1.36.3" });
  assert.deepEqual(lines[1], {
    check: "kubelets",
    level: "warn",
    message: "The cluster has no nodes: no pod can run",
    remedy: "add a node",
  });
});

Deno.test("check colours on a terminal alone, unless NO_COLOR is set, and lets no name speak to it", async () => {
  const cluster = await healthyCluster(ca.cert);
  cluster.offload("trial", { "data-space/pod-profile": "\u001b[2Jfree\n" });
  const [plain, coloured, asked] = await Promise.all([
    examine(cluster),
    examine(cluster, "text", { terminal: true }),
    examine(cluster, "text", { terminal: true, env: { NO_COLOR: "1" } }),
  ]);
  assert.equal(asked.stdout, plain.stdout);
  const escape = "\u001b";
  assert.ok(coloured.stdout.startsWith(`${escape}[32mok  ${escape}[0m  api-server`));
  assert.ok(coloured.stdout.includes(`${escape}[33mwarn${escape}[0m  offloaded`));
  const bare = [31, 32, 33, 0].reduce((text, n) => text.replaceAll(`${escape}[${n}m`, ""), coloured.stdout);
  assert.equal(bare, plain.stdout);
  assert.match(plain.stdout, /pod-profile "\?\[2Jfree\?" is none of/);
  assert.ok(!plain.stdout.includes(escape));
});

Deno.test("check --help says what it looks at", async () => {
  const { code, stdout } = await runVerb(run, ["--help"]);
  assert.equal(code, 0);
  assert.match(stdout, /^ {2}trial-pods {6}a pod on trial in each offloaded namespace$/m);
  assert.match(stdout, /^ {2}-o, --output FORMAT$/m);
});

Deno.test("check refuses wrong usage with code 2", async (t) => {
  const table: [name: string, args: string[], env: Record<string, string>, message: RegExp][] = [
    ["a format", ["--output=yaml"], {}, /^Cannot use --output "yaml": must be text or json\n$/],
    [
      "a kubeconfig that is not there",
      ["--kubeconfig=gone"],
      {},
      /^Cannot find credentials for the API server: kubeconfig "gone": /,
    ],
    ["one of several in KUBECONFIG", [], { KUBECONFIG: "gone:away" }, /environment variable KUBECONFIG: .*gone/],
    [
      "none at all",
      [],
      { HOME: "/nowhere" },
      /service account of the pod: KUBERNETES_SERVICE_HOST is not set; kubeconfig "\/nowhere\/\.kube\/config": /,
    ],
  ];
  for (const [name, args, env, message] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await runVerb(run, args, { env });
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, message);
    });
  }
});
