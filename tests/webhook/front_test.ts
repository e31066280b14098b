import assert from "node:assert/strict";
import { Front } from "../../lib/webhook/front.ts";
import { encode, post, receive, receiveAll, send, TestFront, until } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

async function ask(conn: Deno.Conn): Promise<string> {
  await send(conn, GET);
  return (await receive(conn)).body;
}

/** Shorter than in use: these tests wait for them. */
const limits = { handshakeMs: 100, idleMs: 1_000, exchangeMs: 300, lingerMs: 50 };

Deno.test("front says at once that its port is taken", async () => {
  await using server = await TestFront.start();
  const { port } = server.front.addr;
  assert.throws(() => new Front({ hostname: "127.0.0.1", port, handler: () => new Response() }), Deno.errors.AddrInUse);
});

Deno.test("front passes on large bodies both ways, and an answer to a client that has closed its half", async () => {
  const body = "x".repeat(3 << 20);
  await using server = await TestFront.start({ handler: async (request) => new Response(await request.text()) });
  using conn = await server.tls();
  const [answer] = await Promise.all([receive(conn), send(conn, post(body))]);
  assert.ok(answer.body === body);
  await send(conn, post("last", { connection: "close" }));
  await conn.closeWrite();
  assert.match(await receiveAll(conn), /last$/);
});

Deno.test("front ends a connection whose answer was the last, and not the answer with it", async () => {
  await using server = await TestFront.start({
    limits,
    handler: () => new Response("bye", { headers: { connection: "close" } }),
  });
  using conn = await server.tls();
  assert.equal(await ask(conn), "bye");
  await server.pass(51);
  assert.equal(await receiveAll(conn), ""); // Deno.serve itself would leave it open
  await until(() => server.ended.length > 0);
  assert.deepEqual(server.ended, ["closed"]);
});

Deno.test("front survives a reset in every state of a connection", async () => {
  await using server = await TestFront.start();
  const hello = "\x16\x03\x01\x00\xc8\x01";
  for (const bytes of ["", hello, hello + "x".repeat(300)]) {
    for (let i = 0; i < 5; i++) {
      const conn = await server.tcp();
      await send(conn, bytes);
      conn.close(); // with bytes unread this is a reset
    }
  }
  const conn = await server.tls();
  await send(conn, GET + GET + GET);
  conn.close();
  await until(() => server.front.connections === 0);
  using good = await server.tls();
  assert.equal(await ask(good), "hello");
  assert.deepEqual(server.faults, []);
});

Deno.test("front drains: goes on for a while, takes nothing new, ends what is under way, then closes", async () => {
  const answer = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const grace = Promise.withResolvers<void>();
  await using server = await TestFront.start({
    handler: async (request) => {
      if (request.method === "POST") {
        arrived.resolve();
        await answer.promise;
      }
      return new Response("hello");
    },
    sleep: (ms) => ms === 500 ? grace.promise : new Promise((resolve) => setTimeout(resolve, ms)),
  });
  using idle = await server.tls();
  using busy = await server.tls();
  using kept = await server.tls();
  await Promise.all([ask(idle), ask(kept)]);
  await send(busy, post("x"));
  await arrived.promise;

  const drained = server.front.drain({ graceMs: 500, ms: 5_000 });
  using late = await server.tls(); // has not heard yet
  for (const conn of [kept, late]) {
    await send(conn, GET);
    assert.match((await receive(conn)).head, /connection: close/);
  }
  grace.resolve();
  await server.pass(1_000); // much longer than a silent connection is left
  await assert.rejects(server.tcp(), Deno.errors.ConnectionRefused);
  answer.resolve();
  assert.match((await receive(busy)).head, /200 ok[^]*connection: close/);
  await server.pass(1_000);
  assert.equal(await receiveAll(idle), "");
  await drained;
  assert.equal(server.front.connections, 0);
});

Deno.test("front drains: a connection that was used just now is left for a moment", async () => {
  await using server = await TestFront.start();
  using conn = await server.tls();
  await ask(conn);
  const drained = server.front.drain({ graceMs: 0, ms: 60_000 });
  await server.pass(100);
  assert.equal(await ask(conn), "hello"); // its next request was on the way
  await server.pass(251);
  assert.equal(await receiveAll(conn), "");
  await drained;
  assert.deepEqual(server.ended, ["drained"]);
});

Deno.test("front drains in time although a handler hangs", async () => {
  const answer = Promise.withResolvers<Response>();
  const arrived = Promise.withResolvers<void>();
  await using server = await TestFront.start({
    handler: () => {
      arrived.resolve();
      return answer.promise;
    },
  });
  using conn = await server.tls();
  await send(conn, post("x"));
  await arrived.promise;
  const drained = server.front.drain({ graceMs: 0, ms: 3_000 });
  await server.pass(0);
  await server.pass(2_999);
  assert.deepEqual(server.ended, []);
  await server.pass(1);
  assert.equal(await receiveAll(conn), "");
  await drained;
  answer.resolve(new Response(encode("too late")));
});
