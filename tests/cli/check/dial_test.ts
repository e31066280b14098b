import assert from "node:assert/strict";
import { dial } from "../../../lib/cli/check/dial.ts";
import { CertificateMaker } from "../../../lib/webhook/x509.ts";

const maker = await CertificateMaker.load();
const validity = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
const [authority, other] = await Promise.all([maker.authority(validity), maker.authority(validity)]);
const name = "data-spacer.data-spacer.svc";

/** A TLS server on loopback for as long as the test needs it. */
async function serve(names: string[], test: (port: number) => Promise<void>): Promise<void> {
  const pair = await maker.leaf(authority, { ...validity, names });
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...pair },
    () => new Response(),
  );
  await test(server.addr.port);
}

Deno.test("dial() trusts what the authorities vouch for, and nothing else", async (t) => {
  const to = (port: number, ca = authority.cert) => dial({ hostname: "127.0.0.1", port, name, ca });
  await t.step(
    "the authority's own certificate",
    () => serve([name], async (port) => assert.deepEqual(await to(port), { kind: "trusted" })),
  );
  await t.step(
    "one of two authorities",
    () =>
      serve([name], async (port) => assert.deepEqual(await to(port, other.cert + authority.cert), { kind: "trusted" })),
  );
  await t.step("another authority's", () =>
    serve([name], async (port) => {
      const result = await to(port, other.cert);
      assert.equal(result.kind, "untrusted");
    }));
  await t.step(
    "a certificate for another host",
    () => serve(["elsewhere.svc"], async (port) => assert.equal((await to(port)).kind, "untrusted")),
  );
});

Deno.test("dial() says why it reaches nobody", async (t) => {
  const to = (port: number) => dial({ hostname: "127.0.0.1", port, name, ca: authority.cert });
  await t.step("nobody listens", async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const result = await to(port);
    assert.equal(result.kind, "unreachable");
    assert.match((result as { why: string }).why, /refused/);
  });
  await t.step("something else answers", async () => {
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response());
    assert.equal((await to(server.addr.port)).kind, "unreachable");
  });
});
