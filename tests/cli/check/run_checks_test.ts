import assert from "node:assert/strict";
import { type Check, fail, ok, warn } from "../../../lib/cli/check/check.ts";
import { checks } from "../../../lib/cli/check/checks.ts";
import { inParallel } from "../../../lib/cli/check/in_parallel.ts";
import { runChecks } from "../../../lib/cli/check/run_checks.ts";
import { KubeError } from "../../../lib/kube/errors.ts";
import { healthyCluster } from "./fake_cluster.ts";

const deps = (await healthyCluster()).deps();

/** A check that finds these, and then throws. */
function check(id: string, found: ReturnType<typeof ok>[], error?: unknown): Check {
  return {
    id,
    title: id,
    where: "always",
    async *run() {
      yield* found;
      if (error !== undefined) throw error;
    },
  };
}

const run = (checks: Check[], given = deps) => Array.fromAsync(runChecks(checks, given));
const kubeError = (status: number, message: string) => new KubeError({ status, reason: "", message });

Deno.test("runChecks() runs all in order, and takes what is thrown for a finding", async () => {
  const lines = await run([
    check("a", [ok("1"), warn("2", "r")], new TypeError("odd")),
    check("b", [], "text"),
    check("c", [fail("3")], kubeError(500, "Cannot list pods: etcd is gone")),
  ]);
  assert.deepEqual(lines, [
    { check: "a", level: "ok", message: "1" },
    { check: "a", level: "warn", message: "2", remedy: "r" },
    { check: "a", level: "fail", message: "odd" },
    { check: "b", level: "fail", message: "text" },
    { check: "c", level: "fail", message: "3" },
    { check: "c", level: "fail", message: "Cannot list pods: etcd is gone" },
  ]);
});

Deno.test("runChecks() warns of what may not be read, in short", async () => {
  const remedy = "run this as somebody who may, for example a cluster administrator";
  const state =
    'daemonsets.apps is forbidden: User "jane" cannot list resource "daemonsets" in API group "apps" at the cluster scope';
  assert.deepEqual(
    await run([
      check("a", [], kubeError(403, `Cannot list daemonsets: ${state}`)),
      check("b", [], kubeError(403, "no")),
    ]),
    [
      {
        check: "a",
        level: "warn",
        message: 'Cannot tell: "jane" may not list daemonsets.apps at the cluster scope',
        remedy,
      },
      { check: "b", level: "warn", message: "Cannot tell: no", remedy },
    ],
  );
});

Deno.test("runChecks() stops where there is no API server", async () => {
  const lines = await run([check("a", [], kubeError(0, "Cannot get /version: refused")), check("b", [ok("1")])]);
  assert.deepEqual(lines, [{ check: "a", level: "fail", message: "Cannot get /version: refused" }]);
  const later = [
    check("a", [ok("1")]),
    check("b", [], kubeError(0, "Cannot list nodes: time out")),
    check("c", [ok("2")]),
  ];
  assert.deepEqual((await run(later)).map(({ level }) => level), ["ok", "fail", "ok"]);
});

Deno.test("runChecks() leaves out what concerns an installation where there is none, but not where that cannot be told", async () => {
  const installed = { ...check("a", [ok("1")]), where: "installed" } as const;
  const cluster = await healthyCluster();
  cluster.forbidden = new Set(["get deployments", "get mutatingwebhookconfigurations"]);
  assert.equal((await run([installed], cluster.deps())).length, 1);
  cluster.forbidden.clear();
  assert.equal((await run([installed], cluster.deps())).length, 1);
  cluster.drop("MutatingWebhookConfiguration");
  cluster.drop("Deployment");
  assert.equal((await run([installed], cluster.deps())).length, 0);
});

Deno.test("checks have ids of their own, and begin with the API server", () => {
  assert.equal(new Set(checks.map(({ id }) => id)).size, checks.length);
  assert.equal(checks[0]?.id, "api-server");
  for (const { id } of checks) assert.match(id, /^[a-z-]+$/);
});

Deno.test("inParallel() does a few at a time, gives results in order, and stops at the first error", async (t) => {
  await t.step("results", async () => {
    let running = 0, most = 0;
    const results = await inParallel([...Array(50).keys()], async (n) => {
      most = Math.max(most, ++running);
      for (let i = 0; i < (n * 7) % 5; i++) await Promise.resolve();
      running--;
      return n * 2;
    });
    assert.deepEqual(results, [...Array(50).keys()].map((n) => n * 2));
    assert.ok(most > 1 && most <= 8, `${most} at once`);
    assert.deepEqual(await inParallel([], () => assert.fail("called")), []);
  });
  await t.step("error", async () => {
    let started = 0;
    let running = 0;
    const work = async (n: number) => {
      started++;
      running++;
      for (let i = 0; i < n; i++) await Promise.resolve();
      running--;
      if (n === 0) throw new Error("no");
    };
    await assert.rejects(inParallel([...Array(50).keys()], work), { message: "no" });
    assert.ok(started <= 16, `${started} were started`);
    assert.equal(running, 0, "work goes on behind the caller's back");
  });
});
