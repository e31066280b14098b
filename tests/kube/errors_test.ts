import assert from "node:assert/strict";
import {
  errorOfFailure,
  errorOfStatus,
  isAlreadyExists,
  isConflict,
  isExpired,
  isNotFound,
  isRetryable,
  KubeError,
} from "../../lib/kube/errors.ts";

Deno.test("the error predicates tell what a caller can do", async (t) => {
  const predicates = { isNotFound, isConflict, isAlreadyExists, isExpired, isRetryable };
  const cases: [number, string, (keyof typeof predicates)[]][] = [
    [404, "NotFound", ["isNotFound"]],
    [409, "Conflict", ["isConflict"]],
    [409, "AlreadyExists", ["isConflict", "isAlreadyExists"]],
    [410, "Expired", ["isExpired"]],
    [410, "Gone", ["isExpired"]],
    [410, "", ["isExpired"]],
    [500, "Expired", ["isExpired", "isRetryable"]],
    [429, "TooManyRequests", ["isRetryable"]],
    [503, "", ["isRetryable"]],
    [0, "Network", ["isRetryable"]],
    [401, "Unauthorized", []],
    [403, "Forbidden", []],
    [422, "Invalid", []],
  ];
  for (const [status, reason, expected] of cases) {
    await t.step(`${status} ${reason}`, () => {
      const error = new KubeError({ status, reason, message: "" });
      assert.deepEqual(Object.entries(predicates).filter(([, is]) => is(error)).map(([name]) => name), expected);
    });
  }
  await t.step("something else", () => {
    for (const is of Object.values(predicates)) assert.equal(is(new TypeError("fetch failed")), false);
  });
});

Deno.test("errorOfStatus() takes Status objects, and anything else for what it is worth", () => {
  const details = { name: "a", kind: "pods", retryAfterSeconds: 3 };
  const full = errorOfStatus("get Pod", 429, { reason: "TooManyRequests", message: "slow down", details }, "9");
  assert.deepEqual(
    [full.status, full.reason, full.message, full.retryAfterMs, full.details],
    [429, "TooManyRequests", "Cannot get Pod: slow down", 3000, details],
  );
  assert.equal(errorOfStatus("get Pod", 503, {}, "2").retryAfterMs, 2000);
  assert.equal(errorOfStatus("get Pod", 503, {}, "Wed, 21 Oct 2026 07:28:00 GMT").retryAfterMs, undefined);
  assert.equal(errorOfStatus("get Pod", 503, {}, null).retryAfterMs, undefined);
  for (const body of [null, "text", 3, [], { message: 3, details: "x", reason: {} }]) {
    const error = errorOfStatus("get Pod", 502, body);
    assert.deepEqual([error.status, error.reason, error.message], [502, "", "Cannot get Pod: HTTP status 502"]);
  }
  assert.equal(errorOfStatus("watch Pods", 0, { code: 410 }).status, 410);
  assert.equal(errorOfStatus("watch Pods", 0, {}).status, 500);
});

Deno.test("errorOfFailure() names the innermost cause", () => {
  const cause = new TypeError("fetch failed", { cause: new Error("Connection refused (os error 111)") });
  const error = errorOfFailure("get Pod", cause);
  assert.deepEqual(
    [error.status, error.reason, error.message],
    [0, "Network", "Cannot get Pod: Connection refused (os error 111)"],
  );
  assert.equal(error.cause, cause);
  assert.equal(errorOfFailure("get Pod", new SyntaxError("not JSON")).reason, "Malformed");
});
