import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import type { MutatingWebhookConfiguration } from "kubernetes-types/admissionregistration/v1.d.ts";
import type { Secret } from "kubernetes-types/core/v1.d.ts";
import { projectBundles } from "../../lib/webhook/ca_bundle.ts";
import { readCertificates } from "../../lib/webhook/certificates.ts";
import { AuthorityReplica, HOUR } from "./authority_replica.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { until } from "./processes.ts";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
const installed = await startDataSpacer(cluster, { replicas: 0 });
// What is asked here is whether the API server believes the webhook, not what the webhook says.
await cluster.kubectl(["delete", "validatingadmissionpolicybindings", "--all"]);
await liqo.createOffloadedNamespace("trial-pharma");

/** Authorities that the API server is told to trust. */
async function bundle(): Promise<string[]> {
  const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/data-spacer";
  const [text] = projectBundles(await cluster.call<MutatingWebhookConfiguration>(path)).bundles;
  return readCertificates(text!).certificates.map(({ pem }) => pem);
}

/** Keys of the Secret that the replicas agree by. */
async function stored(): Promise<string[]> {
  const path = "/api/v1/namespaces/data-spacer/secrets/data-spacer-ca";
  const { status, body } = await cluster.request<Secret>(path);
  return status === 200 ? Object.keys(body.data ?? {}).sort() : [];
}

/** Whether a replica serves a certificate that this authority has signed. */
function isBy(authority: string, { pairs }: AuthorityReplica): boolean {
  const leaf = new X509Certificate(pairs.at(-1)!.cert);
  return leaf.verify(new X509Certificate(authority).publicKey);
}

function wait(what: string, look: () => Promise<boolean> | boolean): Promise<unknown> {
  return until(async () => await look() || undefined, { ms: 30_000, what, every: 50 });
}

async function admit(): Promise<string | undefined> {
  const answer = await liqo.createPod(await liqoPod("trial-pharma", "pod"), { dryRun: true });
  return answer.created ? undefined : answer.message;
}

/** Creates pods, as dry runs, one after the other in each of three loops, until told to stop. */
async function load(signal: AbortSignal, seen: { admitted: number; failures: string[] }): Promise<void> {
  await Promise.all([1, 2, 3].map(async () => {
    while (!signal.aborted) {
      const failure = await admit();
      if (failure === undefined) seen.admitted++;
      else seen.failures.push(failure);
    }
  }));
}

Deno.test("the authority changes while clocks jump: two are in the bundle meanwhile, and no admission fails", async (t) => {
  // The API server's clock stays right, so every jump must leave certificates that are good by both.
  await using one = await AuthorityReplica.start(cluster, installed, { name: "one", aheadMs: -12 * HOUR });
  await using two = await AuthorityReplica.start(cluster, installed, { name: "two", aheadMs: -12 * HOUR });
  const both = [one, two];
  /** Sets the clocks, one after the other, and waits until each replica serves so many certificates more. */
  const jump = async (hours: number, more: number) => {
    const wanted = both.map(({ pairs }) => pairs.length + more);
    one.aheadMs = hours * HOUR;
    await new Promise((resolve) => setTimeout(resolve, 500));
    two.aheadMs = hours * HOUR;
    await wait(`${more} certificates`, () => both.every(({ pairs }, i) => pairs.length >= wanted[i]!));
  };
  await wait("an authority that both sign by", () => both.every(({ trusted }) => trusted));
  await jump(-3.4, 1); // what was made twelve hours ago has ended
  const [first] = await bundle();
  await wait("a first admission", async () => await admit() === undefined);

  const stop = new AbortController();
  const seen = { admitted: 0, failures: [] as string[] };
  const loading = load(stop.signal, seen);
  try {
    await t.step("at two thirds of its life there is another one, and both are trusted", async () => {
      await jump(-3.2, 0);
      await wait("two authorities in the bundle", async () => (await bundle()).length === 2);
      assert.equal((await bundle())[0], first);
      assert.deepEqual(await stored(), ["ca.crt", "ca.key", "next.crt", "next.key"]);
      assert.ok(both.every((replica) => isBy(first!, replica)), "signed by an authority that may not be known yet");
    });
    await t.step("once API servers know it, it signs; the former stays trusted", async () => {
      const [, second] = await bundle();
      await wait("certificates of the second", () => both.every((replica) => isBy(second!, replica)));
      assert.deepEqual(await stored(), ["ca.crt", "ca.key", "previous.crt", "previous.until"]);
      assert.deepEqual((await bundle()).toSorted(), [first, second].toSorted());
    });
    await t.step("a jump of four hours renews what is past two thirds of its life", () => jump(0.9, 1));
    await t.step("when nothing that the former signed can be in service, it is trusted no more", async () => {
      await jump(3.9, 0);
      await wait("one authority in the bundle", async () => (await bundle()).length === 1);
      assert.notEqual((await bundle())[0], first);
      assert.deepEqual(await stored(), ["ca.crt", "ca.key"]);
    });
    await t.step("a jump back renews what would be from the future", () => jump(0, 1));
  } finally {
    stop.abort();
    await loading;
  }
  assert.deepEqual(seen.failures, []);
  assert.ok(seen.admitted > 100, `only ${seen.admitted} admissions`);
  assert.deepEqual(both.flatMap(({ errors }) => errors), []);
});

Deno.test("while a clock is wrong by a year pods are refused; when it is right again they are admitted, without a restart", async () => {
  await using replica = await AuthorityReplica.start(cluster, installed, { name: "three", aheadMs: 0 });
  await wait("admission", async () => await admit() === undefined);
  replica.aheadMs = 365 * 24 * HOUR;
  await wait("refusal", async () => /certificate has expired or is not yet valid/.test(await admit() ?? ""));
  replica.aheadMs = 0;
  await wait("admission again", async () => await admit() === undefined);
  assert.equal((await stored()).includes("ca.key"), true);
  assert.deepEqual(replica.errors, []);
});
