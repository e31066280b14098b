import assert from "node:assert/strict";
import { Front } from "../../lib/webhook/front.ts";
import { selfDial } from "../../lib/webhook/self_dial.ts";
import { TestFront } from "./support.ts";

function dial(port: number, hostname = "127.0.0.1", ms = 5_000): Promise<void> {
  return selfDial({ hostname, port, serverName: "webhook.test.svc" }, AbortSignal.timeout(ms));
}

/** A port where each connection is given to `answer`. */
function listen(answer: (connection: Deno.TcpConn) => Promise<unknown> | void): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const connection of listener) await answer(connection);
  })();
  return listener;
}

Deno.test("selfDial() shakes hands with a front that has a certificate, also where it listens on all addresses", async () => {
  await using it = await TestFront.start();
  const { port } = it.front.addr;
  await dial(port);
  await dial(port, "0.0.0.0");
});

Deno.test("selfDial() says that there is no handshake", async (t) => {
  const reasonOf = async (dialled: Promise<void>): Promise<string> => {
    const error: Error = await dialled.then(() => assert.fail("there was a handshake"), (error) => error);
    assert.match(error.message, /^Cannot shake hands with the webhook's own port \d+$/);
    return String(error.cause);
  };
  await t.step("with a front that has no certificate yet", async () => {
    const front = new Front({ hostname: "127.0.0.1", port: 0, handler: () => new Response() });
    await reasonOf(dial(front.addr.port));
    await front.close();
  });
  await t.step("where nobody listens", async () => {
    const listener = listen(() => {});
    const { port } = listener.addr;
    listener.close();
    assert.match(await reasonOf(dial(port)), /ECONN(REFUSED|RESET)/); // the kernel may still hold what it had accepted
  });
  await t.step("with what speaks no TLS", async () => {
    using listener = listen(async (connection) => {
      await connection.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
      connection.close();
    });
    await reasonOf(dial(listener.addr.port));
  });
  await t.step("with what says nothing, when the time is over", async () => {
    const held: Deno.TcpConn[] = [];
    using listener = listen((connection) => void held.push(connection));
    assert.match(await reasonOf(dial(listener.addr.port, "127.0.0.1", 50)), /TimeoutError/);
    for (const connection of held) connection.close();
  });
});
