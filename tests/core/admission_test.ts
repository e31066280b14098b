import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { decide, type Decision, decodeReview, encodeReview, verdicts } from "../../lib/core/admission.ts";
import { applyPatch, type Operation } from "../support/json_patch.ts";
import { busyPod, injected, liqoPod, silentPod, testContainer, testInjection, testPod } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";
import { bodyOf, testReview } from "../support/reviews.ts";

const view = { policy: testPolicy(), ready: true };
const injection = testInjection();

/** What the webhook answers to a body. */
function answer(body: Uint8Array, seen: typeof view | undefined = view): {
  uid: string;
  allowed: boolean;
  patchType?: string;
  patch?: string;
  status?: { code: number; reason: string; message: string };
} {
  const review = decodeReview(body);
  const { apiVersion, kind, response } = JSON.parse(
    new TextDecoder().decode(encodeReview(review.uid, decide(review, seen, injection))),
  );
  assert.deepEqual([apiVersion, kind], ["admission.k8s.io/v1", "AdmissionReview"]);
  return response;
}

function patchOf(response: { patch?: string }): Operation[] {
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(response.patch!)));
}

Deno.test("a review of Liqo's pod is answered with the patch that injects it", async () => {
  const pod = await liqoPod();
  const response = answer(bodyOf(testReview(pod)));
  assert.equal(response.uid, "705ab4f5-6393-11e8-b7cc-42010a800002");
  assert.deepEqual([response.allowed, response.patchType], [true, "JSONPatch"]);
  assert.deepEqual(applyPatch(pod, patchOf(response)), injected(pod));
});

Deno.test("a pod that is injected already is allowed without a patch", () => {
  assert.deepEqual(answer(bodyOf(testReview(injected(testPod())))), {
    uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
    allowed: true,
  });
});

Deno.test("a pod that contradicts a rule is denied with each field named", () => {
  const { allowed, status } = answer(bodyOf(testReview(testPod({ hostNetwork: true, nodeName: "n" }))));
  assert.equal(allowed, false);
  assert.deepEqual([status?.code, status?.reason], [403, "Forbidden"]);
  assert.equal(
    status?.message,
    "The provider cannot host this pod: spec.hostNetwork: must be false or left out; " +
      "spec.nodeName: must be left out: the provider's scheduler chooses the node",
  );
});

Deno.test("a denial says in any script what the consumer wrote", () => {
  const key = "k8s.v1.cni.cncf.io/größe-尺寸";
  const { status } = answer(bodyOf(testReview({ ...testPod(), metadata: { annotations: { [key]: "x" } } })));
  assert.ok(status!.message.includes(`metadata.annotations[${key}]: must be left out`), status!.message);
});

Deno.test("a denial stays short, however much is wrong and however long the names are", () => {
  const long = "x".repeat(5_000);
  const containers = Array.from({ length: 200 }, (_, i) =>
    testContainer({
      name: `data-space-${i}${long.slice(0, 300)}`,
      resources: { limits: { [`${long}/${i}`]: "1" } },
      securityContext: { privileged: true },
    }));
  const annotations = { [`k8s.v1.cni.cncf.io/${long}`]: "x" };
  const { status } = answer(bodyOf(testReview({ ...testPod({ containers }), metadata: { annotations } })));
  assert.match(status!.message, /; and \d+ more$/);
  assert.ok(status!.message.length < 5_000, String(status!.message.length));
});

Deno.test("a namespace that is not ready, opted out in our cache, or unknown is denied for now", async (t) => {
  const table: Record<string, typeof view | undefined> = {
    "unknown": undefined,
    "not ready": { ...view, ready: false },
    "opted out in our cache": { policy: testPolicy({ proxy: false }), ready: true },
  };
  for (const [name, seen] of Object.entries(table)) {
    await t.step(name, () => {
      const review = decodeReview(bodyOf(testReview(testPod())));
      const decision = decide(review, seen, injection) as Decision & { kind: "deny" };
      assert.deepEqual([decision.kind, decision.reason, decision.code], ["deny", "not-ready", 503]);
      assert.match(decision.message, /^Namespace "trial-pharma" is not ready yet/);
      const { response } = JSON.parse(new TextDecoder().decode(encodeReview(review.uid, decision)));
      assert.deepEqual([response.allowed, response.status.reason], [false, "ServiceUnavailable"]);
    });
  }
});

Deno.test("decodeReview() refuses what is no review of a pod's creation, and says why", async (t) => {
  const pod = testPod();
  const review = testReview(pod) as { request: object };
  const request = (changed: object) => ({ ...review, request: { ...review.request, ...changed } });
  const { object: _object, ...withoutObject } = review.request as Record<string, unknown>;
  const { namespace: _namespace, ...withoutNamespace } = review.request as Record<string, unknown>;
  const table: [string, unknown, RegExp][] = [
    ["nothing", "", /the body is not JSON/],
    ["no JSON", "{", /the body is not JSON/],
    ["cut short", JSON.stringify(review).slice(0, -1), /the body is not JSON/],
    ["bytes of no text", new Uint8Array([0xff, 0xfe, 0]), /the body is not JSON/],
    ["null", null, /the body must be Object, but is null/],
    ["a list", [], /apiVersion must be/],
    [
      "another version",
      { ...review, apiVersion: "admission.k8s.io/v1beta1" },
      /apiVersion must be "admission.k8s.io\/v1"/,
    ],
    ["another kind", { ...review, kind: "Pod" }, /kind must be "AdmissionReview"/],
    ["no request", { ...review, request: undefined }, /request must be/],
    ["no uid", request({ uid: "" }), /request.uid must be/],
    [
      "another object",
      request({ kind: { group: "apps", version: "v1", kind: "Deployment" } }),
      /request.kind.group must be/,
    ],
    ["an update", request({ operation: "UPDATE" }), /request.operation must be "CREATE", but is "UPDATE"/],
    ["an unknown operation", request({ operation: "PAINT" }), /request.operation must be "CREATE"/],
    ["a subresource", request({ subResource: "binding" }), /request.subResource must be/],
    ["no namespace", { ...review, request: withoutNamespace }, /request.namespace must be/],
    ["no object", { ...review, request: withoutObject }, /request.object must be/],
    ["a null object", request({ object: null }), /request.object must be/],
    ["an object that is a list", request({ object: [] }), /spec is missing|must be/],
    ["a pod without spec", request({ object: {} }), /Cannot read pod: spec is missing/],
    ["a pod with nonsense", request({ object: { spec: { containers: 5 } } }), /spec.containers must be a list/],
  ];
  for (const [name, value, message] of table) {
    await t.step(name, () => {
      const body = value instanceof Uint8Array
        ? value
        : typeof value === "string"
        ? new TextEncoder().encode(value)
        : bodyOf(value);
      assert.throws(() => decodeReview(body), (error: Error & { status?: number }) => {
        assert.equal(error.name, "BadReviewError");
        assert.equal(error.status, 400);
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

Deno.test("decodeReview() reads text that is no UTF-8 as the API server does", () => {
  const [head, tail] = JSON.stringify(testReview(testPod({}, { env: [{ name: "A", value: "@" }] }))).split("@");
  const encoder = new TextEncoder();
  const { pod } = decodeReview(new Uint8Array([...encoder.encode(head), 0xff, ...encoder.encode(tail)]));
  assert.equal(pod.spec?.containers[0]?.env?.[0]?.value, "\ufffd");
});

Deno.test("encodeReview() escapes the uid that it is given", () => {
  const uid = `"},"x":{"ü\\`;
  const { response } = JSON.parse(
    new TextDecoder().decode(encodeReview(uid, { kind: "allow", reason: "already-injected" })),
  );
  assert.deepEqual(response, { uid, allowed: true });
});

Deno.test("an answer fits one TLS record: below 16,000 bytes with the real script", async (t) => {
  const longest = testInjection({
    resolvers: ["10.96.0.10", "fd00:1234:5678:9abc:def0:1234:5678:9abc", "169.254.20.10"],
    initImage: `registry.example.com/${"x".repeat(60)}/data-spacer-init@sha256:${"0".repeat(64)}`,
    proxyImage: `registry.example.com/${"x".repeat(60)}/envoy@sha256:${"0".repeat(64)}`,
    imagePullSecret: "registry-credentials",
  });
  const table: [string, Pod, typeof injection][] = [
    ["Liqo's pod", await liqoPod(), injection],
    ["Liqo's pod, long settings", await liqoPod(), longest],
    ["a pod of 10 silent containers", silentPod(10), injection],
    ["a pod of 10 busy containers", busyPod(10), injection],
    ["a pod of 10 busy containers, long settings", busyPod(10), longest],
  ];
  for (const [name, pod, used] of table) {
    await t.step(name, () => {
      const review = decodeReview(bodyOf(testReview(pod)));
      const { length } = encodeReview(review.uid, decide(review, view, used));
      assert.ok(length < 16_000, `${length} bytes`);
    });
  }
});

Deno.test("verdicts lists every kind and reason of a decision", () => {
  const decisions: Decision[] = [
    { kind: "allow", reason: "already-injected" },
    { kind: "patch", reason: "injected", ops: [] },
    { kind: "deny", reason: "rules", code: 403, message: "" },
    { kind: "deny", reason: "not-ready", code: 503, message: "" },
  ];
  for (const { kind, reason } of decisions) {
    assert.ok(verdicts.some((verdict) => verdict.verdict === kind && verdict.reason === reason), reason);
  }
});
