/**
 * CPU time of a review without TLS and HTTP: decoding it, deciding, encoding the answer; in µs, garbage collection included. And the size of
 * review and answer.
 *
 *     deno run --allow-read --allow-env --allow-sys --v8-flags=--max-semi-space-size=1,--heap-growing-percent=50 tests/bench/decide_bench.ts [ROUNDS] [--json]
 *
 * Pods alternate round by round, so that other load on the machine falls on all of them. Limits: Liqo's pod in all ≤ 25 µs, so that a review
 * stays below 0.1 ms of CPU with TLS and HTTP; rules and patch of 10 containers ≤ 200 µs; each answer < 16,000 bytes.
 */
import process from "node:process";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { decide, decodeReview, encodeReview } from "../../lib/core/admission.ts";
import { busyPod, injected, liqoPod, silentPod, testContainer, testInjection, testPod } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";
import { bodyOf, testReview } from "../support/reviews.ts";

const [given, format] = Deno.args;
const ROUNDS = Number(given ?? 60);
/** Calls of one measurement: some ms, well above the clock's step. */
const CALLS = 300;

const injection = testInjection();
const view = { policy: testPolicy(), ready: true };

const pods: Record<string, Pod> = {
  "Liqo's pod": await liqoPod(),
  "Liqo's pod, injected": injected(await liqoPod()),
  "10 silent containers": silentPod(10),
  "10 busy containers": busyPod(10),
  "refused for 20 reasons": testPod({
    containers: Array.from(
      { length: 10 },
      (_, i) => testContainer({ name: `data-space-${i}`, livenessProbe: { tcpSocket: {} } }),
    ),
  }),
};

/** Steps of a review, each from what the one before gave. */
const cases = Object.entries(pods).map(([name, pod]) => {
  const body = bodyOf(testReview(pod));
  const review = decodeReview(body);
  const decision = decide(review, view, injection);
  const steps: Record<string, () => unknown> = {
    decode: () => decodeReview(body),
    decide: () => decide(review, view, injection),
    encode: () => encodeReview(review.uid, decision),
    all: () => {
      const review = decodeReview(body);
      return encodeReview(review.uid, decide(review, view, injection));
    },
  };
  return { name, bytes: body.length, answer: encodeReview(review.uid, decision).length, steps };
});

const samples = new Map<() => unknown, number[]>();
for (let round = -5; round < ROUNDS; round++) {
  for (const step of cases.flatMap(({ steps }) => Object.values(steps))) {
    const start = process.cpuUsage();
    for (let i = 0; i < CALLS; i++) step();
    const { user, system } = process.cpuUsage(start);
    const each = (user + system) / CALLS;
    if (round >= 0) samples.set(step, [...(samples.get(step) ?? []), each]); // the first rounds compile
  }
}

function quantiles(values: number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q: number) => sorted[Math.floor(q * (sorted.length - 1))]!.toFixed(1);
  return `${at(0.5)} (${at(0.1)} to ${at(0.9)})`;
}

const print = (...cells: string[]) =>
  Deno.stdout.writeSync(new TextEncoder().encode(cells.map((cell) => cell.padEnd(24)).join("").trimEnd() + "\n"));

if (format === "--json") {
  for (const { name, bytes, answer, steps } of cases) {
    const times = Object.entries(steps).map(([step, run]) => [step, samples.get(run)]);
    print(JSON.stringify({ name, bytes, answer, ...Object.fromEntries(times) }));
  }
  Deno.exit(0);
}
print(
  `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}, ${navigator.hardwareConcurrency} CPUs; ${ROUNDS} rounds of ${CALLS} calls; CPU µs: median (10 % to 90 %)`,
);
print("pod", "decode", "decide", "encode", "all", "bytes in and out");
for (const { name, bytes, answer, steps } of cases) {
  print(name, ...Object.values(steps).map((step) => quantiles(samples.get(step)!)), `${bytes} ${answer}`);
}
