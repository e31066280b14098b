import assert from "node:assert/strict";
import { admission, encode, post, receive, send, TestFront } from "./support.ts";

function request(body: BodyInit | null = "{}", options: { method?: string; path?: string } = {}): Request {
  const { method = "POST", path = "/mutate/pod" } = options;
  const headers = { "content-type": "application/json" };
  return new Request(`https://webhook${path}`, { method, headers, body: method === "GET" ? null : body });
}

Deno.test("createAdmissionHandler() answers with what review makes of the body", async () => {
  const bodies: string[] = [];
  const handler = admission({
    review: (body) => {
      bodies.push(new TextDecoder().decode(body));
      return encode("answer");
    },
  });
  const response = await handler(request("question"));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(await response.text(), "answer");
  assert.deepEqual(bodies, ["question"]);
});

Deno.test("createAdmissionHandler() answers over TLS without waiting for a delayed ACK", async (t) => {
  for (const length of [500, 1_400, 3_000, 12_000, 16_000]) {
    await t.step(`${length} bytes`, async () => {
      await using server = await TestFront.start({ handler: admission({ review: () => encode("x".repeat(length)) }) });
      using conn = await server.tls();
      let fastest = Infinity;
      for (let i = 0; i < 5; i++) {
        const start = performance.now();
        await send(conn, post("{}"));
        assert.equal((await receive(conn)).body.length, length);
        fastest = Math.min(fastest, performance.now() - start);
      }
      assert.ok(fastest < 30, `${fastest} ms`);
    });
  }
});

Deno.test("createAdmissionHandler() joins a body of many chunks", async () => {
  const chunks = ["on", "", "e b", "ody"];
  const body = ReadableStream.from(chunks.map(encode));
  const handler = admission({ review: (bytes) => bytes as Uint8Array<ArrayBuffer> });
  assert.equal(await (await handler(request(body))).text(), "one body");
});

Deno.test("createAdmissionHandler() tells what it did", async () => {
  const told: string[] = [];
  let time = 0;
  const observe = {
    answered: (status: number, ms: number) => told.push(`answered ${status} after ${ms} ms`),
    refused: (status: number, error: Error) => told.push(`refused ${status}: ${error.message}`),
    failed: (error: unknown) => told.push(`failed: ${error}`),
  };
  const bad = Object.assign(new Error("no review"), { status: 400 });
  const verdicts: Record<string, () => Uint8Array<ArrayBuffer>> = {
    ok: () => encode("{}"),
    bad: () => {
      throw bad;
    },
    bug: () => {
      throw new TypeError("a bug");
    },
    odd: () => {
      throw Object.assign(new Error("odd"), { status: 503 });
    },
    none: () => {
      throw "nothing";
    },
  };
  const handler = admission({
    observe,
    now: () => time += 5,
    review: (body) => verdicts[new TextDecoder().decode(body)]!(),
  });
  for (const name of ["ok", "bad", "bug", "odd", "none"]) await handler(request(name));
  await handler(request(null, { method: "GET" }));
  assert.deepEqual(told, [
    "answered 200 after 5 ms",
    "refused 400: no review",
    "answered 400 after 5 ms",
    "failed: TypeError: a bug",
    "answered 500 after 5 ms",
    "failed: Error: odd",
    "answered 500 after 5 ms",
    "failed: nothing",
    "answered 500 after 5 ms",
    "refused 405: Cannot serve GET: only POST is allowed",
    "answered 405 after 5 ms",
  ]);
});

Deno.test("createAdmissionHandler() keeps a fault of ours to itself", async () => {
  const handler = admission({
    review: () => {
      throw new Error("secret path /etc/data-spacer");
    },
  });
  const response = await handler(request());
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /secret/);
});
