import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { BadReviewError, decide, decodeReview, encodeReview } from "../../lib/core/admission.ts";
import { applyPatch, type Operation } from "../support/json_patch.ts";
import { testInjection } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";
import { testReview } from "../support/reviews.ts";
import { breach } from "./breach.ts";
import { mutate, mutateBytes } from "./mutate.ts";
import { Random } from "./random.ts";
import { seedPods } from "./seeds.ts";

/** Mutated reviews in one run; `FUZZ_RUNS=1000000` for a long one. */
const RUNS = Number(Deno.env.get("FUZZ_RUNS") ?? 100_000);

/** `FUZZ_SEED` repeats a run. */
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() % 1_000_000_000);

const images = { init: "init:1", proxy: "proxy:1" };
const injection = testInjection({ initImage: images.init, proxyImage: images.proxy });
const view = { policy: testPolicy(), ready: true };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

Deno.test(`admission survives ${RUNS} mutated reviews, and lets no pod through that breaks a rule (FUZZ_SEED=${SEED})`, async () => {
  const random = new Random(SEED);
  const all = (await seedPods(injection)).map((pod) => testReview(pod as Pod));
  const counts = { bad: 0, deny: 0, patch: 0, allow: 0 };
  for (let run = 0; run < RUNS; run++) {
    let bytes: Uint8Array = encoder.encode(JSON.stringify(mutate(random.of(all), random)));
    if (random.chance(0.05)) bytes = mutateBytes(bytes, random);
    const saw = judge(bytes, `FUZZ_SEED=${SEED}, run ${run}`);
    counts[saw]++;
  }
  for (const [kind, count] of Object.entries(counts)) {
    assert.ok(count > 0, `no ${kind} among ${RUNS}: the fuzzer is blind there`);
  }
});

/** Sends one body through; fails on a crash, on a patch that does not apply, and on a pod that must not run. */
function judge(body: Uint8Array, which: string): "bad" | "deny" | "patch" | "allow" {
  let decoded: ReturnType<typeof decodeReview>;
  try {
    decoded = decodeReview(body);
  } catch (error) {
    assert.ok(error instanceof BadReviewError, `${which}: ${Deno.inspect(error)}`);
    return "bad";
  }
  const before = JSON.stringify(decoded.pod);
  const decision = decide(decoded, view, injection);
  assert.equal(JSON.stringify(decoded.pod), before, `${which}: the input was changed`);
  const { response } = JSON.parse(decoder.decode(encodeReview(decoded.uid, decision)));
  assert.equal(response.uid, decoded.uid, which);
  if (!response.allowed) {
    assert.ok(response.status.message.length > 20, `${which}: no message`);
    return "deny";
  }
  const operations = response.patch === undefined
    ? []
    : JSON.parse(decoder.decode(Uint8Array.fromBase64(response.patch)));
  const pod = applyPatch(decoded.pod, operations as Operation[]);
  assert.equal(breach(pod, images), undefined, `${which}: ${JSON.stringify(pod).slice(0, 3_000)}`);
  return operations.length > 0 ? "patch" : "allow";
}
