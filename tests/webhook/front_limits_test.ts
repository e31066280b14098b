import assert from "node:assert/strict";
import { post, receive, receiveAll, send, TestFront, until } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

async function ask(conn: Deno.Conn): Promise<string> {
  await send(conn, GET);
  return (await receive(conn)).body;
}

const limits = { handshakeMs: 100, idleMs: 1_000, exchangeMs: 300, lingerMs: 50 };

Deno.test("front ends clients that hold a connection, not before their time", async (t) => {
  const hello = "\x16\x03\x01\x02\x00\x01";
  const table: { name: string; reason: string; afterMs: number; start: (server: TestFront) => Promise<Deno.Conn> }[] = [
    { name: "that say nothing", reason: "handshake", afterMs: 100, start: (server) => server.tcp() },
    {
      name: "that stop in the handshake",
      reason: "handshake",
      afterMs: 100,
      start: async (server) => {
        const conn = await server.tcp();
        await send(conn, hello);
        return conn;
      },
    },
    {
      name: "that say nothing after the handshake",
      reason: "idle",
      afterMs: 1_000,
      start: async (server) => {
        const conn = await server.tls();
        await conn.handshake();
        return conn;
      },
    },
    {
      name: "that say nothing after an answer",
      reason: "idle",
      afterMs: 1_000,
      start: async (server) => {
        const conn = await server.tls();
        await ask(conn);
        return conn;
      },
    },
    {
      name: "that stop in a request",
      reason: "idle",
      afterMs: 1_000,
      start: async (server) => {
        const conn = await server.tls();
        await conn.handshake();
        await send(conn, GET.slice(0, 9));
        return conn;
      },
    },
  ];
  for (const { name, reason, afterMs, start } of table) {
    await t.step(`${name}: ${reason}`, async () => {
      await using server = await TestFront.start({ limits });
      using conn = await start(server);
      await until(() => server.front.connections === 1);
      await server.pass(0);
      await server.pass(afterMs);
      assert.deepEqual(server.ended, []);
      await server.pass(1);
      if (server.ended.length === 0) await server.pass(afterMs); // its last bytes had been on the way
      await until(() => server.ended.length > 0);
      assert.deepEqual(server.ended, [reason]);
      assert.ok((await receiveAll(conn)).length < 10);
    });
  }
});

Deno.test("front ends clients that trickle", async (t) => {
  for (const [name, tls] of [["the handshake", false], ["the head of a request", true]] as const) {
    await t.step(name, async () => {
      await using server = await TestFront.start({ limits });
      using conn = await (tls ? server.tls() : server.tcp());
      if ("handshake" in conn) await conn.handshake();
      await send(conn, tls ? GET.slice(0, 5) : "\x16\x03\x01\x02\x00");
      await assert.rejects(async () => {
        for (let i = 0; i < 200; i++) {
          await send(conn, "x");
          await server.pass(60);
        }
      });
      assert.deepEqual(server.ended, [tls ? "slow" : "handshake"]);
    });
  }
});

Deno.test("front leaves alone a client that asks now and then, and one whose answer takes long", async () => {
  const answer = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  await using server = await TestFront.start({
    limits,
    handler: async (request) => {
      if (request.method === "POST") {
        arrived.resolve();
        await answer.promise;
      }
      return new Response("hello");
    },
  });
  using conn = await server.tls();
  for (let i = 0; i < 4; i++) {
    assert.equal(await ask(conn), "hello");
    await server.pass(900);
  }
  await send(conn, post("x"));
  await arrived.promise;
  await server.pass(900);
  answer.resolve();
  assert.equal((await receive(conn)).body, "hello");
});

Deno.test("front closes connections beyond the limit at once, and takes new ones when others have gone", async () => {
  await using server = await TestFront.start({ limits: { connections: 2 } });
  const first = await server.tls();
  using second = await server.tls();
  await Promise.all([ask(first), ask(second)]);
  using third = await server.tcp();
  assert.equal(await receiveAll(third), "");
  assert.deepEqual(server.ended, ["limit"]);
  first.close();
  await until(() => server.front.connections === 1);
  using fourth = await server.tls();
  assert.equal(await ask(fourth), "hello");
  assert.equal(await ask(second), "hello");
});

Deno.test("front at its limit ends the longest silent connection for a new one", async () => {
  await using server = await TestFront.start({ limits: { connections: 3, uselessMs: 100 } });
  using used = await server.tls();
  using silent = await server.tls();
  using mute = await server.tcp(); // has not even begun its handshake
  await Promise.all([ask(used), ask(silent)]);
  await until(() => server.front.connections === 3);
  await server.pass(60);
  await ask(used);
  await ask(silent);
  await server.pass(60);
  await ask(used);
  using first = await server.tls();
  assert.equal(await ask(first), "hello");
  assert.equal(await receiveAll(mute), "");
  using early = await server.tcp();
  assert.equal(await receiveAll(early), "", "nobody has been silent long enough");
  await server.pass(60);
  using second = await server.tls();
  assert.equal(await ask(second), "hello");
  assert.equal(await receiveAll(silent), "");
  assert.equal(await ask(used), "hello");
  assert.deepEqual(server.ended, ["evicted", "limit", "evicted"]);
  assert.equal(server.front.connections, 3);
});

Deno.test("front at its limit ends a client that trickles for a new one", async () => {
  await using server = await TestFront.start({ limits: { connections: 3, uselessMs: 100 } });
  const tricklers = await Promise.all([server.tls(), server.tls(), server.tls()]);
  for (const conn of tricklers) await ask(conn); // they have been of use once
  const trickle = () => Promise.all(tricklers.map((conn) => send(conn, "x").catch(() => {})));
  for (let i = 0; i < 5; i++) {
    await trickle();
    await server.pass(30);
  }
  using fresh = await server.tls();
  assert.equal(await ask(fresh), "hello");
  for (let i = 0; i < 5; i++) {
    await trickle();
    await server.pass(30);
    assert.equal(await ask(fresh), "hello");
  }
  assert.deepEqual(server.ended, ["evicted"]);
  for (const conn of tricklers) conn.close();
});
