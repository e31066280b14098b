import assert from "node:assert/strict";
import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import type { Secret } from "kubernetes-types/core/v1.d.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import type { Replica } from "./replica.ts";
import { until } from "./processes.ts";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
await liqo.createTenantNamespace();
await liqo.createOffloadedNamespace("trial-pharma");

/** How many certificates a replica has had so far. */
async function issued(replica: Replica): Promise<number> {
  return (await replica.logs()).filter(({ message }) => message === "Issued certificate").length;
}

/** Creates pods, as dry runs, one after the other in each of `loops`; counts them, and gives what went wrong. */
async function admit(loops: number, signal: AbortSignal): Promise<{ admitted: number; failures: string[] }> {
  const seen = { admitted: 0, failures: [] as string[] };
  await Promise.all(Array.from({ length: loops }, async (_, loop) => {
    while (!signal.aborted) {
      const answer = await liqo.createPod(await liqoPod("trial-pharma", `pod-${loop}`), { dryRun: true });
      if (answer.created) seen.admitted++;
      else seen.failures.push(answer.message);
    }
  }));
  return seen;
}

Deno.test("certificates are replaced under load without a failed admission", async () => {
  await using installed = await startDataSpacer(cluster, { replicas: 2, flags: ["--certificate-lifetime=6s"] });
  const ready = await liqo.createPod(await liqoPod("trial-pharma", "first"), { dryRun: true, retryMs: 10_000 });
  assert.ok(ready.created);
  const before = await Promise.all(installed.replicas.map(issued));
  const stop = new AbortController();
  const load = admit(4, stop.signal);
  await until(async () => {
    const now = await Promise.all(installed.replicas.map(issued));
    return now.every((count, i) => count >= before[i]! + 3) || undefined;
  }, { ms: 60_000, what: "three more certificates of each replica" });
  stop.abort();
  const { admitted, failures } = await load;
  assert.deepEqual(failures, []);
  assert.ok(admitted > 100, `only ${admitted} admissions`);
});

Deno.test("a spoiled authority is replaced, and pods are admitted again at once", async () => {
  await using installed = await startDataSpacer(cluster, { replicas: 2 });
  await until(async () => {
    const answer = await liqo.createPod(await liqoPod("trial-pharma", "first"), { dryRun: true });
    return answer.created || undefined;
  }, { ms: 20_000, what: "a first admission" });
  const path = "/api/v1/namespaces/data-spacer/secrets/data-spacer-ca";
  const before = await cluster.call<Secret>(path);
  await cluster.call(path, {
    method: "PATCH",
    contentType: "application/merge-patch+json",
    body: { data: { "ca.key": btoa("nonsense") } },
  });
  await until(async () => {
    const { data } = await cluster.call<Secret>(path);
    return data?.["ca.crt"] !== before.data?.["ca.crt"] && data?.["ca.key"] !== btoa("nonsense") || undefined;
  }, { ms: 20_000, what: "another authority" });
  await until(async () => {
    const answers = await Promise.all(
      Array.from(
        { length: 8 },
        async () => await liqo.createPod(await liqoPod("trial-pharma", "again"), { dryRun: true }),
      ),
    );
    return answers.every(({ created }) => created) || undefined;
  }, { ms: 20_000, what: "admissions with the new authority" });
  for (const replica of installed.replicas) assert.equal(await replica.exitCode(), undefined);
});

Deno.test("a Secret that is deleted is made anew without a failed admission, and a caBundle that is emptied is filled at once", async (t) => {
  await using _installed = await startDataSpacer(cluster, { replicas: 2 });
  await until(async () => {
    const answer = await liqo.createPod(await liqoPod("trial-pharma", "first"), { dryRun: true });
    return answer.created || undefined;
  }, { ms: 20_000, what: "a first admission" });
  await t.step("the Secret", async () => {
    const path = "/api/v1/namespaces/data-spacer/secrets/data-spacer-ca";
    const { metadata } = await cluster.call<Secret>(path);
    const stop = new AbortController();
    const load = admit(2, stop.signal);
    await cluster.call(path, { method: "DELETE" });
    await until(async () => {
      const { status, body } = await cluster.request<Secret>(path);
      return status === 200 && body.metadata?.uid !== metadata?.uid || undefined;
    }, { ms: 10_000, what: "another Secret" });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    stop.abort();
    const { admitted, failures } = await load;
    assert.deepEqual(failures, []);
    assert.ok(admitted > 20, `only ${admitted} admissions`);
  });
  await t.step("the caBundle", async () => {
    const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/data-spacer";
    const bundle = async () =>
      (await cluster.call<MutatingWebhookConfiguration>(path)).webhooks![0]!.clientConfig.caBundle;
    const before = await bundle();
    assert.ok(before);
    for (const value of ["", btoa(cluster.ca)]) {
      const body = [{ op: "replace", path: "/webhooks/0/clientConfig/caBundle", value }];
      await cluster.call(path, { method: "PATCH", contentType: "application/json-patch+json", body });
      await until(async () => await bundle() === before || undefined, { ms: 5_000, what: "the caBundle as it was" });
    }
    await until(async () => {
      const answer = await liqo.createPod(await liqoPod("trial-pharma", "again"), { dryRun: true });
      return answer.created || undefined;
    }, { ms: 5_000, what: "an admission" });
  });
});
