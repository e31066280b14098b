import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { breach } from "../fuzz/breach.ts";
import { mutate } from "../fuzz/mutate.ts";
import { Random } from "../fuzz/random.ts";
import { seedPods } from "../fuzz/seeds.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { imageFlags, images, PodJudge } from "./pod_judge.ts";

// A sample of what tests/fuzz makes goes through a real API server.

/** Mutated pods in one run. */
const RUNS = Number(Deno.env.get("FUZZ_CLUSTER_RUNS") ?? 1_000);
/** `FUZZ_SEED` repeats a run. */
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() % 1_000_000_000);

const NAMESPACE = "trial-pharma";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
await startDataSpacer(cluster, { flags: [...imageFlags] });
await liqo.createTenantNamespace();
await liqo.createOffloadedNamespace(NAMESPACE);
const judge = await PodJudge.create(cluster);
const first = await liqo.createPod(await liqoPod(NAMESPACE, "first"), { dryRun: true, retryMs: 10_000 });
assert.ok(first.created, JSON.stringify(first));

Deno.test(`the API server does with ${RUNS} mutated pods what we decide, and stores none that breaks a rule (FUZZ_SEED=${SEED})`, async () => {
  const random = new Random(SEED);
  const seeds = await seedPods(judge.injection);
  const counts = { invalid: 0, refused: 0, admitted: 0 };
  for (let run = 0; run < RUNS; run++) {
    const seed = structuredClone(random.of(seeds));
    seed.metadata = { ...seed.metadata, name: `fuzzed-${run}`, namespace: NAMESPACE };
    const judged = judge.judge(mutate(seed, random) ?? null, { namespace: NAMESPACE }).catch((cause) => {
      throw new Error(`FUZZ_SEED=${SEED}, run ${run}`, { cause });
    });
    counts[(await judged).outcome]++;
  }
  for (const [outcome, count] of Object.entries(counts)) {
    assert.ok(count > RUNS / 100, `${count} ${outcome} of ${RUNS}: the sample is blind there`);
  }

  const { items } = await cluster.call<{ items: Pod[] }>(`/api/v1/namespaces/${NAMESPACE}/pods`);
  assert.equal(items.length, counts.admitted, "pods that are stored");
  for (const pod of items) assert.equal(breach(pod, images), undefined, pod.metadata?.name);
});
