import assert from "node:assert/strict";
import { KubeError } from "../../lib/kube/errors.ts";

/** The KubeError that `promise` rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<KubeError> {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof KubeError, `a KubeError, not ${error}`);
  return error;
}
