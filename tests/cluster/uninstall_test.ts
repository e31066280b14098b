import assert from "node:assert/strict";
import { readFile, ROOT } from "../support/tree.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { KINDS, Operator } from "./operator.ts";

Deno.test("the lines of the README leave nothing of ours, and nothing that refuses a pod", async () => {
  const section = (await readFile("README.md")).split("### Uninstall")[1]!;
  const lines = /```sh\n([^]*?)```/.exec(section)![1]!.trimEnd().split("\n").map((line) => line.replace(/ +#.*/, ""));
  assert.equal(lines.length, 2);

  await using cluster = await startCluster();
  const operator = new Operator(cluster);
  const liqo = await Liqo.install(cluster);
  await liqo.createTenantNamespace();
  const installed = await startDataSpacer(cluster);
  await liqo.createOffloadedNamespace("trial-pharma");
  await liqo.createOffloadedNamespace("study-pharma");
  const running = await liqo.createPod(await liqoPod("trial-pharma", "running"), { retryMs: 10_000 });
  assert.ok(running.created, JSON.stringify(running));
  await operator.holds("study-pharma", KINDS);

  for (const line of lines) {
    const [program, ...args] = line.replace("deploy/base", `${ROOT}deploy/base`).split(" ");
    assert.equal(program, "kubectl");
    const { code, stderr } = await cluster.kubectl(args);
    assert.equal(code, 0, stderr);
    // With the first line the pods of the Deployment go; here the replica is a process.
    await installed.replica.stop();
  }
  for (const namespace of ["trial-pharma", "study-pharma"]) await operator.holds(namespace, []);
  const everywhere = await cluster.kubectl([
    "get",
    "configmaps,secrets,leases,networkpolicies,clusterroles,clusterrolebindings,mutatingwebhookconfigurations," +
    "validatingadmissionpolicies,validatingadmissionpolicybindings,namespaces",
    "-A",
    "-o",
    "name",
  ]);
  assert.equal(everywhere.code, 0, everywhere.stderr);
  assert.doesNotMatch(everywhere.stdout, /data-space/);
  const plain = await liqo.createPod(await liqoPod("trial-pharma", "plain"), { retryMs: 3_000 });
  assert.ok(plain.created, JSON.stringify(plain));
  const { status } = await cluster.request("/api/v1/namespaces/trial-pharma/pods/running");
  assert.equal(status, 200, "a pod that ran was taken away");
});
