/**
 * The webhook's layers by themselves, for layers.ts: LAYER ADDRESS PORT FOLDER. The layer `runtime` is `Deno.serve` with a constant
 * answer, `front` has our front before it, and `review` answers as the webhook does; all read the request as the webhook does.
 */
import { decide, decodeReview, encodeReview } from "../../lib/core/admission.ts";
import { createAdmissionHandler } from "../../lib/webhook/admission_server.ts";
import { Front } from "../../lib/webhook/front.ts";
import { testInjection } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";

const [layer, hostname, port, folder] = Deno.args as [string, string, string, string];
const cert = await Deno.readTextFile(`${folder}/layers.pem`);
const key = await Deno.readTextFile(`${folder}/layers.key`);
const injection = testInjection();
const view = { policy: testPolicy(), ready: true };
const review = (body: Uint8Array): Uint8Array<ArrayBuffer> => {
  const parsed = decodeReview(body);
  return encodeReview(parsed.uid, decide(parsed, view, injection));
};
const constant = review(await Deno.readFile(`${folder}/review.json`));
const fail = (error: unknown) => {
  throw error;
};
const handler = createAdmissionHandler({
  review: layer === "review" ? review : () => constant,
  observe: { answered: () => {}, refused: (_status, error) => fail(error), failed: fail },
});
if (layer === "runtime") Deno.serve({ hostname, port: Number(port), cert, key, onListen: () => {} }, handler);
else {
  const front = new Front({ hostname, port: Number(port), handler });
  front.use({ cert, key, notAfter: Date.now() + 3_600_000 });
}
