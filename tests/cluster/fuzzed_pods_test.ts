import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { decide } from "../../lib/core/admission.ts";
import { breach, type Images } from "../fuzz/breach.ts";
import { mutate } from "../fuzz/mutate.ts";
import { Random } from "../fuzz/random.ts";
import { seedPods } from "../fuzz/seeds.ts";
import { testInjection } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { LIQO, Liqo, liqoPod } from "./liqo.ts";

// A sample of what tests/fuzz makes goes through a real API server: once to a namespace of the provider's, where nobody asks us, once to an
// offloaded one.

/** Mutated pods in one run. */
const RUNS = Number(Deno.env.get("FUZZ_CLUSTER_RUNS") ?? 1_000);
/** `FUZZ_SEED` repeats a run. */
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() % 1_000_000_000);

const OFFLOADED = "trial-pharma";
const OWN = "own";
const images: Images = { init: "localhost/init:fuzz", proxy: "localhost/proxy:fuzz" };

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
await startDataSpacer(cluster, { flags: [`--init-image=${images.init}`, `--proxy-image=${images.proxy}`] });
await liqo.createTenantNamespace();
await liqo.createOffloadedNamespace(OFFLOADED);
await cluster.call("/api/v1/namespaces", { body: { metadata: { name: OWN } } });
await cluster.serviceAccount(OWN);
const first = await liqo.createPod(await liqoPod(OFFLOADED, "first"), { dryRun: true, retryMs: 10_000 });
assert.ok(first.created, JSON.stringify(first));

const injection = testInjection({ initImage: images.init, proxyImage: images.proxy });
const view = { policy: testPolicy(), ready: true };

interface Answer {
  status: number;
  pod: Pod;
  message: string;
}

/** Creates a pod as Liqo does; `namespace` goes into the pod too, unless a mutation has put something else there. */
async function create(mutated: unknown, namespace: string, dryRun: boolean): Promise<Answer> {
  const body = structuredClone(mutated) as Pod;
  if (body?.metadata?.namespace === OFFLOADED) body.metadata.namespace = namespace;
  const path = `/api/v1/namespaces/${namespace}/pods${dryRun ? "?dryRun=All" : ""}`;
  const answer = await cluster.request<Pod & { message?: string }>(path, { ...LIQO, method: "POST", body });
  return { status: answer.status, pod: answer.body, message: answer.body?.message ?? String(answer.body) };
}

type Outcome = "invalid" | "refused" | "admitted";

/** Sends one pod through; fails where the API server and our decision disagree, and on a pod that must not run. */
async function judge(mutated: unknown, which: string): Promise<Outcome> {
  const plain = await create(mutated, OWN, true);
  const answer = await create(mutated, OFFLOADED, false);
  const shown = `${which}: ${answer.status} ${answer.message}\n${JSON.stringify(mutated).slice(0, 3_000)}`;
  assert.ok(plain.status < 500, shown);
  assert.doesNotMatch(answer.message, /ValidatingAdmissionPolicy/, shown);
  if (answer.status === 201) assert.equal(breach(answer.pod, images), undefined, shown);
  if (plain.status !== 201) {
    // Not valid as it came; it may be without the token's volume, which we take out. Without containers it is no pod to the webhook either, which
    // is asked first.
    if (answer.status === 201) return "admitted";
    if (answer.status >= 500) assert.match(answer.message, /the server rejected our request/, shown);
    return "invalid";
  }
  // As the API server sees it, with its defaults: that is what the webhook is asked about.
  const pod = { ...plain.pod, metadata: { ...plain.pod.metadata, namespace: OFFLOADED } };
  const decision = decide({ uid: "u", namespace: OFFLOADED, pod }, view, injection);
  if (decision.kind === "deny") {
    assert.equal(answer.status, 403, shown);
    assert.ok(answer.message.includes(decision.message), `${shown}\nwe say: ${decision.message}`);
    return "refused";
  }
  assert.equal(answer.status, 201, shown);
  return "admitted";
}

Deno.test(`the API server does with ${RUNS} mutated pods what we decide, and stores none that breaks a rule (FUZZ_SEED=${SEED})`, async () => {
  const random = new Random(SEED);
  const seeds = await seedPods(injection);
  for (const seed of seeds) seed.metadata = { ...seed.metadata, namespace: OFFLOADED };
  const counts: Record<Outcome, number> = { invalid: 0, refused: 0, admitted: 0 };
  for (let run = 0; run < RUNS; run++) {
    const seed = structuredClone(random.of(seeds));
    seed.metadata!.name = `fuzzed-${run}`;
    counts[await judge(mutate(seed, random) ?? null, `FUZZ_SEED=${SEED}, run ${run}`)]++;
  }
  for (const [outcome, count] of Object.entries(counts)) {
    assert.ok(count > RUNS / 100, `${count} ${outcome} of ${RUNS}: the sample is blind there`);
  }

  const { items } = await cluster.call<{ items: Pod[] }>(`/api/v1/namespaces/${OFFLOADED}/pods`);
  assert.equal(items.length, counts.admitted, "pods that are stored");
  for (const pod of items) assert.equal(breach(pod, images), undefined, pod.metadata?.name);
});
