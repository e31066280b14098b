import { type AdmissionView, decide, type Decision, decodeReview, encodeReview } from "../core/admission.ts";
import type { Injection } from "../core/injection.ts";

/** What {@linkcode createReview} needs. */
export interface ReviewDeps {
  /** What is known of a namespace; undefined if it is not. */
  view(namespace: string): AdmissionView | undefined;
  /** What is injected; it may be another one from review to review. */
  injection(): Injection;
  /** Told of each decision. */
  decided(decision: Decision): void;
}

/** Makes what answers the body of a review with the body of its answer. It throws `BadReviewError` for what is no review of ours. */
export function createReview({ view, injection, decided }: ReviewDeps): (body: Uint8Array) => Uint8Array<ArrayBuffer> {
  return (body) => {
    const review = decodeReview(body);
    const decision = decide(review, view(review.namespace), injection());
    decided(decision);
    return encodeReview(review.uid, decision);
  };
}
