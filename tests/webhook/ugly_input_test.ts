import assert from "node:assert/strict";
import type { AdmissionDeps } from "../../lib/webhook/admission_server.ts";
import { createReview } from "../../lib/webhook/review.ts";
import { testInjection, testPod } from "../support/pods.ts";
import { testPolicy } from "../support/policy.ts";
import { testReview } from "../support/reviews.ts";
import { admission, post, receive, receiveAll, send, TestFront } from "./support.ts";

const failures: unknown[] = [];
const injection = testInjection();
/** As in `serve`, but that asking for one namespace is a fault of ours. */
const deps: Partial<AdmissionDeps> = {
  review: createReview({
    view(namespace) {
      if (namespace === "crash") throw new Error("a bug");
      return namespace === "trial-pharma" ? { policy: testPolicy(), ready: true } : undefined;
    },
    injection: () => injection,
    decided() {},
  }),
  observe: { answered() {}, refused() {}, failed: (error) => failures.push(error) },
};

/** A review of a pod, with these fields of the request. */
const reviewOf = (request: object = {}, pod = testPod()): string => JSON.stringify(testReview(pod, request));
const review = reviewOf();
const PATCHED = '"allowed":true,"patchtype":"jsonpatch"';
const big = 7 << 20;
const chunked = { "content-length": "", "transfer-encoding": "chunked" };
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** Requests of which the whole is sent; then the answer has this status and says this. */
const table: { name: string; request: string | (() => string); status: number; says: string }[] = [
  { name: "a review", request: post(review), status: 200, says: PATCHED },
  {
    name: "a review in chunks",
    request: post(chunk(review.slice(0, 5)) + chunk(review.slice(5)) + "0\r\n\r\n", chunked),
    status: 200,
    says: PATCHED,
  },
  {
    name: "a media type with parameters",
    request: post(review, { "content-type": "Application/JSON; charset=utf-8" }),
    status: 200,
    says: PATCHED,
  },
  { name: "a review of exactly 7 MiB", request: () => post(review.padEnd(big)), status: 200, says: PATCHED },
  {
    name: "another media type",
    request: post(review, { "content-type": "text/plain" }),
    status: 415,
    says: "application/json",
  },
  { name: "no media type", request: post(review, { "content-type": "" }), status: 415, says: "application/json" },
  { name: "not JSON", request: post("]["), status: 400, says: "not JSON" },
  { name: "no body", request: post(""), status: 400, says: "not JSON" },
  { name: "no body and no length", request: post("", { "content-length": "" }), status: 400, says: "not JSON" },
  { name: "JSON that ends early", request: post(review.slice(0, -1)), status: 400, says: "not JSON" },
  { name: "not an object", request: post("[]"), status: 400, says: "apiVersion must be" },
  {
    name: "another kind",
    request: post(review.replace("AdmissionReview", "Pod")),
    status: 400,
    says: 'kind must be "AdmissionReview"',
  },
  {
    name: "another version",
    request: post(review.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1")),
    status: 400,
    says: 'must be "admission.k8s.io/v1"',
  },
  {
    name: "no request",
    request: post(JSON.stringify({ ...JSON.parse(review), request: null })),
    status: 400,
    says: "request must be",
  },
  { name: "no uid", request: post(reviewOf({ uid: undefined })), status: 400, says: "request.uid must be" },
  { name: "no object", request: post(reviewOf({ object: undefined })), status: 400, says: "request.object must be" },
  { name: "a null object", request: post(reviewOf({ object: null })), status: 400, says: "request.object must be" },
  { name: "a pod without spec", request: post(reviewOf({ object: {} })), status: 400, says: "spec is missing" },
  {
    name: "an unknown operation",
    request: post(reviewOf({ operation: "PAINT" })),
    status: 400,
    says: 'operation must be "CREATE", but is "PAINT"',
  },
  { name: "an update", request: post(reviewOf({ operation: "UPDATE" })), status: 400, says: 'but is "UPDATE"' },
  { name: "a subresource", request: post(reviewOf({ subResource: "binding" })), status: 400, says: "subResource" },
  {
    name: "a pod that breaks a rule",
    request: post(reviewOf({}, testPod({ hostNetwork: true }))),
    status: 200,
    says: '"allowed":false',
  },
  {
    name: "a namespace that is not known",
    request: post(reviewOf({ namespace: "other" })),
    status: 200,
    says: "not ready yet",
  },
  { name: "lists 200,000 deep", request: post("[".repeat(200_000)), status: 400, says: "not JSON" },
  { name: "GET", request: "GET /mutate/pod HTTP/1.1\r\nhost: x\r\n\r\n", status: 405, says: "allow: POST" },
  {
    name: "HEAD of another path",
    request: "GET /%2e%2e/mutate/pod HTTP/1.1\r\nhost: x\r\n\r\n",
    status: 404,
    says: "/mutate/pod",
  },
  { name: "a path below", request: post(review, {}, "POST /mutate/pod/x"), status: 404, says: "/mutate/pod" },
  { name: "a fault of ours", request: post(reviewOf({ namespace: "crash" })), status: 500, says: "internal error" },
  { name: "no host", request: post(review, { host: "" }), status: 200, says: PATCHED },
  { name: "a host that is none", request: post(review, { host: "a b/?#\\@" }), status: 404, says: "/mutate/pod" },
  {
    name: "an absolute target",
    request: post(review, {}, "POST http://[::1]:1/mutate/pod?x=/y"),
    status: 200,
    says: PATCHED,
  },
];

/** Requests after which the connection ends as well; NaN: without an answer. */
const fatal: typeof table = [
  {
    name: "more than 7 MiB announced",
    request: post("{", { "content-length": String(big + 1) }),
    status: 413,
    says: "7340032 bytes",
  },
  { name: "more than 7 MiB sent", request: () => post("x".repeat(big + 1)), status: 413, says: "7340032 bytes" },
  {
    name: "more than 7 MiB in chunks",
    request: () => post(chunk("x".repeat(big + 1)) + "0\r\n\r\n", chunked),
    status: 413,
    says: "7340032 bytes",
  },
  {
    name: "a length beside chunks", // otherwise the length would hide how much comes
    request: post(chunk("hello") + "0\r\n\r\n", { "content-length": "5", "transfer-encoding": "chunked" }),
    status: 400,
    says: "",
  },
  { name: "a body that stops", request: post("{", { "content-length": "100" }), status: 408, says: "100 ms" },
  { name: "chunks that stop", request: post(chunk("{"), chunked), status: 408, says: "100 ms" },
  { name: "64 KB of headers", request: post("", { x: "y".repeat(65_536) }), status: 400, says: "" },
  { name: "a length that is no number", request: post("", { "content-length": "1e3" }), status: 400, says: "" },
  { name: "a negative length", request: post("", { "content-length": "-1" }), status: 400, says: "" },
  { name: "two lengths", request: post("", { "Content-Length": "5" }), status: 400, says: "" },
  { name: "a chunk length that is none", request: post("xyz\r\n", chunked), status: NaN, says: "" },
  { name: "not HTTP inside TLS", request: "\x00\x01\x02 hello\r\n\r\n", status: 400, says: "" },
  { name: "an unknown version", request: "POST /mutate/pod HTTP/9.9\r\n\r\n", status: 400, says: "" },
];

Deno.test("the webhook answers ugly requests over TLS with the right status and goes on", async (t) => {
  await using server = await TestFront.start({ handler: admission(deps), limits: { lingerMs: 100 }, realTime: true });
  await using hasty = await TestFront.start({
    handler: admission({ ...deps, limits: { deadlineMs: 100 } }),
    limits: { lingerMs: 50 },
    realTime: true,
  });

  await t.step("on one connection", async (t) => {
    using conn = await server.tls(); // stays good whatever was asked before
    for (const { name, request, status, says } of table) {
      await t.step(name, async () => {
        await send(conn, typeof request === "string" ? request : request());
        const answer = await receive(conn);
        assert.equal(answer.status, status, answer.body);
        assert.ok(`${answer.head}\n${answer.body}`.toLowerCase().includes(says.toLowerCase()), answer.body);
      });
    }
  });

  for (const { name, request, status, says } of fatal) {
    await t.step(name, async () => {
      const chosen = status === 408 ? hasty : server;
      using conn = await chosen.tls();
      const sent = send(conn, typeof request === "string" ? request : request()).catch(() => {});
      const answer = await receiveAll(conn);
      await sent;
      assert.equal(Number(answer.split(" ")[1]), status, answer.slice(0, 200));
      assert.ok(answer.toLowerCase().includes(says.toLowerCase()), answer);
    });
  }

  await t.step("a body that trickles", async () => {
    using conn = await hasty.tls();
    const trickle = (async () => {
      await send(conn, post("{", { "content-length": "100" }));
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        await send(conn, "x");
      }
    })().catch(() => "cut");
    assert.match(await receiveAll(conn), /^HTTP\/1.1 408 /);
    assert.equal(await trickle, "cut");
  });

  await t.step("a client that leaves in the middle", async () => {
    for (const part of [5, 60, 120]) {
      const conn = await server.tls();
      await send(conn, post("x".repeat(1000)).slice(0, part));
      conn.close();
    }
    const conn = await server.tls();
    await send(conn, post(review)); // and one that does not wait for its answer
    conn.close();
  });

  await t.step("pipelined requests", async () => {
    using conn = await server.tls();
    await send(conn, post(review) + post("{}") + post(review, { connection: "close" }));
    const statuses = [...(await receiveAll(conn)).matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, ["200", "400", "200"]);
  });

  await t.step("garbage before TLS, and plain HTTP", async () => {
    for (const garbage of ["\x00\x01\x02", post(review), "\x16\x02\x00"]) {
      using conn = await server.tcp();
      await send(conn, garbage);
      if (garbage.length === 3) await send(conn, "\x00\x00\x00");
      assert.equal(await receiveAll(conn), "");
    }
    assert.equal(server.ended.filter((reason) => reason === "not-tls").length, 3);
  });

  await t.step("a handshake that is none", async () => {
    using conn = await server.tcp();
    await send(conn, "\x16\x03\x01\x00\x05hello");
    assert.ok((await receiveAll(conn)).length < 20); // an alert
  });

  using conn = await server.tls();
  await send(conn, post(review));
  assert.equal((await receive(conn)).status, 200);
  assert.equal(failures.length, 1);
  assert.deepEqual(server.faults, []);
});
