import assert from "node:assert/strict";
import { parse } from "yaml";
import { BadReviewError, decide, decodeReview, encodeReview } from "../../lib/core/admission.ts";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { PreparedTemplate } from "../../lib/core/injection.ts";
import { applyPatch, type Operation } from "../support/json_patch.ts";
import { liqoPod } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";
import { testSettings } from "../support/settings.ts";
import { filesOf, readFile } from "../support/tree.ts";
import { breach } from "./breach.ts";
import { mutate, mutateBytes } from "./mutate.ts";
import { Random } from "./random.ts";

/** Mutated reviews in one run; `FUZZ_RUNS=1000000` for a long one. */
const RUNS = Number(Deno.env.get("FUZZ_RUNS") ?? 100_000);

/** `FUZZ_SEED` repeats a run. */
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? Date.now() % 1_000_000_000);

const template = injectionTemplate(testSettings({ initImage: "init:1", proxyImage: "proxy:1" }));
const injection = { current: new PreparedTemplate(template), accepted: [] };
const view = { policy: testPolicy(), ready: true };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function review(pod: unknown): Record<string, unknown> {
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      namespace: "trial-pharma",
      operation: "CREATE",
      userInfo: { username: "system:serviceaccount:liqo:liqo-controller-manager" },
      object: pod,
    },
  };
}

/** Liqo's pod, all goldens, and a pod that is injected already. */
async function seeds(): Promise<unknown[]> {
  const files = (await filesOf("tests/testdata/pods")).filter((file) => file.endsWith(".yaml"));
  const pods: unknown[] = await Promise.all(files.map(async (file) => parse(await readFile(file))));
  const plain = await liqoPod();
  const decision = decide({ uid: "u", namespace: "trial-pharma", pod: plain }, view, injection);
  assert.equal(decision.kind, "patch");
  const answer = JSON.parse(decoder.decode(encodeReview("u", decision)));
  return [...pods, plain, applyPatch(plain, JSON.parse(atob(answer.response.patch)) as Operation[])].map(review);
}

Deno.test(`admission survives ${RUNS} mutated reviews, and lets no pod through that breaks a rule (FUZZ_SEED=${SEED})`, async () => {
  const random = new Random(SEED);
  const all = await seeds();
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
  assert.equal(breach(pod), undefined, `${which}: ${JSON.stringify(pod).slice(0, 3_000)}`);
  return operations.length > 0 ? "patch" : "allow";
}
