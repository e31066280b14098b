import assert from "node:assert/strict";
import { KubeClient } from "../../lib/kube/client.ts";
import { KubeError } from "../../lib/kube/errors.ts";
import { CertificateMaker } from "../../lib/webhook/x509.ts";

Deno.test("KubeClient trusts every authority of its credentials: a cluster that changes its own has two", async (t) => {
  const maker = await CertificateMaker.load();
  const validity = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  const [old, current] = await Promise.all([maker.authority(validity), maker.authority(validity)]);
  const pair = await maker.leaf(current, { ...validity, names: ["127.0.0.1"] });
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...pair };
  await using server = Deno.serve(options, () => new Response("here"));
  const read = async (ca: string): Promise<string> => {
    const credentials = { server: `https://127.0.0.1:${server.addr.port}`, ca };
    using client = new KubeClient({ credentials, fieldManager: "tester" });
    return await client.raw("/version");
  };
  await t.step(
    "the second one",
    async () => assert.equal(await read(`# old\n${old.cert}# new\n${current.cert}`), "here"),
  );
  await t.step("the first one", async () => assert.equal(await read(current.cert + old.cert), "here"));
  await t.step("none of them", () => assert.rejects(read(old.cert), KubeError));
});
