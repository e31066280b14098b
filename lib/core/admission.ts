import type { Pod } from "kubernetes-types/core/v1.d.ts";
import * as v from "valibot";
import { asciiJson, type AsciiPart, joinAscii } from "./ascii.ts";
import type { NamespacePolicy } from "./namespace_policy.ts";
import type { Injection } from "./injection.ts";
import { patchBase64, type PatchOp } from "./patch_op.ts";
import { patchPod } from "./pod_patch.ts";
import { asPod } from "./pod_shape.ts";

/** What we need of an AdmissionReview (admission.k8s.io/v1) for the creation of a pod. */
export interface Review {
  uid: string;
  namespace: string;
  pod: Pod;
}

/** Answers to a review. A `deny` is a verdict on the pod or the namespace, never a fault of ours: those are HTTP errors. */
export type Decision =
  | { kind: "allow"; reason: "already-injected" }
  | { kind: "patch"; reason: "injected"; ops: PatchOp[] }
  | { kind: "deny"; reason: "not-ready" | "rules"; code: 403 | 503; message: string };

/** Verdicts and reasons of decisions, as the labels of the admissions metric. */
export const verdicts: readonly { verdict: Decision["kind"] | "error"; reason: string }[] = [
  { verdict: "allow", reason: "already-injected" },
  { verdict: "patch", reason: "injected" },
  { verdict: "deny", reason: "not-ready" },
  { verdict: "deny", reason: "rules" },
  { verdict: "error", reason: "bad-review" },
  { verdict: "error", reason: "internal" },
];

/** A request that is no review of ours to answer. The HTTP status is 400. */
export class BadReviewError extends Error {
  override readonly name = "BadReviewError";
  readonly status = 400;
}

/** What the webhook knows of the review's namespace. */
export interface AdmissionView {
  policy: NamespacePolicy;
  /** All objects that a pod of ours needs are in place. */
  ready: boolean;
}

const envelope = v.object({
  apiVersion: v.literal("admission.k8s.io/v1"),
  kind: v.literal("AdmissionReview"),
  request: v.object({
    uid: v.pipe(v.string(), v.nonEmpty()),
    kind: v.object({ group: v.literal(""), version: v.literal("v1"), kind: v.literal("Pod") }),
    operation: v.literal("CREATE"),
    subResource: v.optional(v.literal("")),
    namespace: v.pipe(v.string(), v.nonEmpty()),
    object: v.looseObject({}),
  }),
});

/** Not fatal: what is no UTF-8 becomes U+FFFD, as in the API server's own decoder, and costs an eighth of the time. */
const decoder = new TextDecoder();

/**
 * Reads a review of a pod's creation.
 *
 * @throws {BadReviewError} if it is none: not JSON, another kind or operation, no object, a field of the wrong type.
 */
export function decodeReview(body: Uint8Array): Review {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(body));
  } catch (cause) {
    throw new BadReviewError("Cannot read review: the body is not JSON", { cause });
  }
  const result = v.safeParse(envelope, value, { abortEarly: true });
  if (!result.success) {
    const issue = result.issues[0];
    throw new BadReviewError(
      `Cannot review: ${v.getDotPath(issue) ?? "the body"} must be ${issue.expected}, but is ${issue.received}`,
    );
  }
  const { uid, namespace, object } = result.output.request;
  try {
    return { uid, namespace, pod: asPod(object) };
  } catch (cause) {
    throw new BadReviewError((cause as Error).message, { cause });
  }
}

/**
 * Decides on a pod.
 *
 * | namespace | pod | decision |
 * | --- | --- | --- |
 * | unknown, opted out by our cache, or its objects not there | any | deny, not ready: Liqo tries again |
 * | ready | contradicts a rule, or has our containers but not as we make them | deny, each field named |
 * | ready | has our containers as we make them, and all that we set | allow |
 * | ready | any other | patch |
 *
 * An opt-out is the API server's to apply, by the webhook's namespaceSelector: no pod passes unpatched on our cache's word.
 */
export function decide(review: Review, view: AdmissionView | undefined, injection: Injection): Decision {
  if (view === undefined || !view.ready || !view.policy.proxy) {
    return {
      kind: "deny",
      reason: "not-ready",
      code: 503,
      message:
        `Namespace "${review.namespace}" is not ready yet: the provider is still preparing it; try again in a moment`,
    };
  }
  const result = patchPod(review.pod, view.policy, injection);
  if (result.kind === "refused") {
    return { kind: "deny", reason: "rules", code: 403, message: denial(result.violations) };
  }
  if (result.ops.length === 0) return { kind: "allow", reason: "already-injected" };
  return { kind: "patch", reason: "injected", ops: result.ops };
}

/** Violations that are listed; more are counted only. */
const LISTED = 20;

function denial(violations: readonly { field: string; message: string }[]): string {
  const listed = violations.slice(0, LISTED).map(({ field, message }) => `${field}: ${message}`);
  const more = violations.length - listed.length;
  if (more > 0) listed.push(`and ${more} more`);
  return `The provider cannot host this pod: ${listed.join("; ")}`;
}

/** The AdmissionReview that answers, as JSON in ASCII. */
export function encodeReview(uid: string, decision: Decision): Uint8Array<ArrayBuffer> {
  const head = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":${JSON.stringify(uid)},`;
  return joinAscii([asciiJson(head), ...response(decision), "}}"]);
}

/** Members of the response but for its uid. Strung together by hand: a patch in base64 needs no escapes, and is long. */
function response(decision: Decision): AsciiPart[] {
  switch (decision.kind) {
    case "allow":
      return ['"allowed":true'];
    case "patch":
      return ['"allowed":true,"patchType":"JSONPatch","patch":"', ...patchBase64(decision.ops), '"'];
    case "deny": {
      const { code, message } = decision;
      const status = { code, reason: code === 503 ? "ServiceUnavailable" : "Forbidden", message };
      return [`"allowed":false,"status":${asciiJson(JSON.stringify(status))}`];
    }
  }
}
