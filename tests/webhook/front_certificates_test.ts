import assert from "node:assert/strict";
import { Front } from "../../lib/webhook/front.ts";
import { certificates, DAY, receive, receiveAll, send, TestFront, until } from "./support.ts";

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
