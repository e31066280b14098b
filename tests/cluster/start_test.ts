import assert from "node:assert/strict";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const dataSpacer = await startDataSpacer(cluster, { replicas: 0 });

/** What replicas have published: the containers that they make, with all that is in them. */
async function published(): Promise<string> {
  const path = "/api/v1/namespaces/data-spacer/configmaps/data-spacer-contract";
  return JSON.stringify((await cluster.call<ConfigMap>(path)).data);
}

Deno.test("without --resolvers pods may ask the name servers of our own pod's /etc/resolv.conf", async () => {
  const resolvConf = "search svc.cluster.local\nnameserver 10.7.7.7\nnameserver fd00:7::7\noptions ndots:5\n";
  const replica = await dataSpacer.startReplica({ resolvConf });
  assert.match(await published(), /10\.7\.7\.7.*fd00:7::7/);
  await replica.stop();
});

Deno.test("--resolvers counts before /etc/resolv.conf", async () => {
  const resolvConf = "nameserver 10.8.8.8\n";
  const replica = await dataSpacer.startReplica({ resolvConf, flags: ["--resolvers=10.9.9.9"] });
  const text = await published();
  assert.match(text, /10\.9\.9\.9/);
  assert.doesNotMatch(text, /10\.8\.8\.8/);
  await replica.stop();
});

Deno.test("where no name server is found the start fails, and names the flag", async (t) => {
  for (const [name, resolvConf] of Object.entries({ "an empty file": "", "none in it": "search example.org\n" })) {
    await t.step(name, () =>
      assert.rejects(
        dataSpacer.startReplica({ resolvConf }),
        /ended with 1:[^]*Cannot tell the cluster's DNS[^]*--resolvers/,
      ));
  }
});
