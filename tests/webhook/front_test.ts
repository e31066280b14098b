import assert from "node:assert/strict";
import { Front } from "../../lib/webhook/front.ts";
import { certificates, DAY, encode, post, receive, receiveAll, send, TestFront, until } from "./support.ts";

const GET = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

async function ask(conn: Deno.Conn): Promise<string> {
  await send(conn, GET);
  return (await receive(conn)).body;
}

Deno.test("front refuses to use a pair that is none, and keeps the one before", async () => {
  await using server = await TestFront.start();
  assert.throws(() => server.front.use({ cert: "x", key: "y", notAfter: 0 }));
  using conn = await server.tls();
  assert.equal(await ask(conn), "hello");
  assert.equal(server.front.listeners, 1);
});

Deno.test("front closes connections while it has no certificate", async () => {
  const ended: string[] = [];
  const front = new Front({
    hostname: "127.0.0.1",
    port: 0,
    handler: () => new Response(),
    ended: (r) => ended.push(r),
  });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: front.addr.port });
  await send(conn, "\x16\x03\x01");
  assert.equal(await receiveAll(conn), "");
  assert.deepEqual(ended, ["unavailable"]);
  await front.close();
});

Deno.test("front says at once that its port is taken", async () => {
  await using server = await TestFront.start();
  const { port } = server.front.addr;
  assert.throws(() => new Front({ hostname: "127.0.0.1", port, handler: () => new Response() }), Deno.errors.AddrInUse);
});

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

Deno.test("front changes the certificate under load without a failed request", async () => {
  const { maker, ca } = await certificates();
  await using server = await TestFront.start({
    handler: async (request) => new Response(await request.bytes()),
    realTime: true,
  });
  const { port } = server.front.addr;
  let [rotations, requests, connections] = [0, 0, 0];
  const enough = () => rotations >= 6 && requests >= 100 && connections >= 20;

  async function keepAsking(fresh: boolean): Promise<void> {
    while (!enough()) {
      using client = Deno.createHttpClient({ caCerts: [ca.cert], http2: false });
      connections++;
      do {
        const response = await fetch(`https://127.0.0.1:${port}/`, { method: "POST", body: "hello", client });
        assert.equal(await response.text(), "hello");
        requests++;
      } while (!fresh && !enough());
    }
  }

  async function rotate(): Promise<void> {
    for (; !enough(); rotations++) {
      const leaf = await maker.leaf(ca, { nowMs: Date.now(), lifetimeMs: DAY, names: ["127.0.0.1"] });
      server.front.use({ ...leaf, notAfter: 0 });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  await Promise.all([rotate(), ...[true, true, false, false, false].map(keepAsking)]);
  await until(() => server.front.listeners === 1); // the former ones have gone by themselves
  assert.deepEqual(server.ended.filter((reason) => reason !== "done" && reason !== "closed"), []);
  assert.deepEqual(server.faults, []);
});

Deno.test("front lets clients of a former certificate leave by themselves, after an answer", async () => {
  const { pair } = await certificates();
  await using server = await TestFront.start();
  using kept = await server.tls();
  await ask(kept);
  server.front.use(pair);
  assert.equal(server.front.listeners, 2);
  await send(kept, GET);
  assert.match((await receive(kept)).head, /connection: close/);
  using fresh = await server.tls();
  await send(fresh, GET);
  assert.doesNotMatch((await receive(fresh)).head, /connection: close/);
});

Deno.test("front cuts the connections of former certificates that are too many or too old", async () => {
  const { pair } = await certificates();
  await using server = await TestFront.start({ limits: { retired: 1, retiredMs: 200, idleMs: 10_000 } });
  using first = await server.tls();
  await ask(first);
  server.front.use(pair);
  using second = await server.tls();
  await ask(second);
  server.front.use(pair);
  assert.equal(await receiveAll(first), "");
  assert.deepEqual(server.ended, ["retired"]);
  await server.pass(200);
  assert.deepEqual(server.ended, ["retired"]);
  await server.pass(1);
  assert.equal(await receiveAll(second), "");
  assert.deepEqual(server.ended, ["retired", "retired"]);
  await until(() => server.front.listeners === 1);
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
