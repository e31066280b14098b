import assert from "node:assert/strict";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { injectedNames, labels } from "../../lib/core/names.ts";
import { isInjected } from "../../lib/core/tenant_containers.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { liqoPod } from "./liqo.ts";
import { oursIn, PodTrials } from "./pod_trials.ts";

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const pods = await PodTrials.create(cluster);
const dataSpacer = await startDataSpacer(cluster);

Deno.test("a pod is injected, and its own containers stay in order with all that they say", async () => {
  const namespace = await pods.offloaded("injected");
  const before = await liqoPod(namespace, "one");
  before.spec!.initContainers = [{ name: "first", image: "localhost/a:1" }, { name: "second", image: "localhost/b:1" }];
  before.spec!.containers[0]!.securityContext = { readOnlyRootFilesystem: true, runAsUser: 4_711 };
  const pod = await pods.admitted(before);
  assert.deepEqual(pod.spec?.initContainers?.map(({ name }) => name), [
    injectedNames.init,
    injectedNames.proxy,
    "first",
    "second",
  ]);
  const [init, proxy] = oursIn(pod);
  assert.deepEqual(init!.resources!.requests, init!.resources!.limits);
  assert.deepEqual(proxy!.resources!.requests, proxy!.resources!.limits);
  assert.equal(proxy!.restartPolicy, "Always");
  const mount = proxy!.volumeMounts!.find(({ name }) => name === injectedNames.configVolume);
  assert.deepEqual([mount?.readOnly, mount?.subPath], [true, undefined]);
  const security = pod.spec!.containers[0]!.securityContext!;
  assert.deepEqual([security.readOnlyRootFilesystem, security.runAsUser], [true, 4_711]);
  assert.deepEqual([security.allowPrivilegeEscalation, security.capabilities], [false, { drop: ["ALL"] }]);
  assert.equal(pod.metadata?.labels?.[labels.netpolAllow], "true");
  assert.deepEqual(pod.spec?.containers[0]?.env, before.spec?.containers[0]?.env);
});

Deno.test("a pod that follows its namespace at once is refused for now, with a message that says so, and then admitted", async () => {
  const name = "hurried";
  await pods.liqo.createOffloadedNamespace(name, { labels: {} }, false);
  const answers: string[] = [];
  const pod = await liqoPod(name, "one");
  for (const end = performance.now() + 10_000; performance.now() < end;) {
    const answer = await pods.liqo.createPod(pod);
    if (answer.created) {
      oursIn(answer.pod);
      return;
    }
    // The API server itself waits for the default ServiceAccount.
    assert.match(answer.message, /is not ready yet: .* try again|serviceaccount "default" not found/);
    answers.push(answer.message);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`never admitted: ${answers.at(-1)}`);
});

Deno.test("a namespace whose objects are not there refuses its pods as not ready", async () => {
  const namespace = await pods.settled("unready");
  await using stopped = await startStopped();
  await cluster.kubectl(["-n", namespace, "delete", "networkpolicy", "data-space-network-policy"]);
  await stopped.until(async () => {
    const message = await pods.refused(await liqoPod(namespace, "one"));
    return /not ready yet/.test(message);
  });
});

/** A second replica that serves while the leader is stopped, so that nothing is repaired. */
async function startStopped() {
  const other = await dataSpacer.startReplica();
  await dataSpacer.replica.leave();
  const pid = await dataSpacer.replica.pid();
  Deno.kill(pid!, "SIGSTOP");
  return {
    async until(look: () => Promise<boolean>) {
      for (const end = performance.now() + 8_000; performance.now() < end;) if (await look()) return;
      assert.fail("not within 8 s");
    },
    async [Symbol.asyncDispose]() {
      Deno.kill(pid!, "SIGCONT");
      await dataSpacer.replica.stop();
      await other.stop();
      await dataSpacer.startReplica();
    },
  };
}

Deno.test("a dry run is injected, and leaves nothing behind", async () => {
  const namespace = await pods.offloaded("dry");
  oursIn(await pods.admitted(await liqoPod(namespace, "one"), { dryRun: true, retryMs: 10_000 }));
  const { body } = await cluster.request<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods`);
  assert.deepEqual(body.items, []);
});

Deno.test("pods of a namespace with apply-webhook=false are neither injected nor judged", async () => {
  const namespace = await pods.offloaded("opted-out", { [labels.applyWebhook]: "false" });
  const before = await liqoPod(namespace, "one");
  before.spec!.containers[0]!.securityContext = { privileged: true, runAsUser: 0 };
  const pod = await pods.admitted(before);
  assert.equal(isInjected(pod), false);
  assert.equal(pod.spec!.containers[0]!.securityContext!.privileged, true);
});

Deno.test("pods of tenant namespaces and of all others are left alone", async () => {
  for (const namespace of ["liqo-tenant-pharma", "default"]) {
    await cluster.serviceAccount(namespace);
    assert.equal(isInjected(await pods.admitted(await liqoPod(namespace, "gateway"))), false);
  }
});

Deno.test("a pod that carries our containers otherwise than we make them is refused, and nothing internal is named", async (t) => {
  const namespace = await pods.settled("forged");
  const real = await pods.admitted(await liqoPod(namespace, "real"), { dryRun: true });
  const forgeries: Record<string, (pod: Pod) => void> = {
    "another image": (pod) => pod.spec!.initContainers![1]!.image = "localhost/evil:1",
    "another script": (pod) => pod.spec!.initContainers![0]!.command = ["/bin/sh", "-c", "true"],
    "another user": (pod) => pod.spec!.initContainers![1]!.securityContext!.runAsUser = 21_346,
    "one environment variable more": (pod) => pod.spec!.initContainers![1]!.env!.push({ name: "X", value: "y" }),
    "environment from elsewhere": (pod) => pod.spec!.initContainers![1]!.envFrom = [{ configMapRef: { name: "x" } }],
    "no restart": (pod) => delete pod.spec!.initContainers![1]!.restartPolicy,
    "one of the two": (pod) => pod.spec!.initContainers!.splice(0, 1),
    "other requests": (pod) => pod.spec!.initContainers![1]!.resources!.requests!.cpu = "1m",
    "its own configuration": (pod) =>
      pod.spec!.volumes!.find(({ name }) => name === injectedNames.configVolume)!.configMap!.name = "evil",
  };
  for (const [name, change] of Object.entries(forgeries)) {
    await t.step(name, async () => {
      const pod = structuredClone({ ...real, metadata: { ...(await liqoPod(namespace, "forged")).metadata } });
      change(pod);
      const message = await pods.refused(pod);
      assert.match(message, /denied the request|Forbidden|Invalid/i);
      assert.doesNotMatch(message, /\/work|\.ts:|stack/);
    });
  }
  await t.step("exactly as we make them: accepted as they are", async () => {
    const pod = await pods.admitted({ ...real, metadata: { ...(await liqoPod(namespace, "copied")).metadata } });
    assert.deepEqual(oursIn(pod), oursIn(real));
  });
});

Deno.test("replicas of two versions accept each other's pods during a rollout, in both directions", async () => {
  const namespace = await pods.settled("rollout");
  const before = await pods.admitted(await liqoPod(namespace, "before"), { dryRun: true });
  const next = await dataSpacer.startReplica({ flags: ["--proxy-image=localhost/envoy:next"] });
  const old = dataSpacer.replicas.filter((replica) => replica !== next);
  await Promise.all(old.map((replica) => replica.stop()));
  const copy = async (pod: Pod, name: string) => ({
    ...pod,
    metadata: { ...(await liqoPod(namespace, name)).metadata },
  });
  const byNext = async () => {
    const answer = await pods.admitted(await liqoPod(namespace, "next"), { dryRun: true, retryMs: 10_000 });
    return oursIn(answer)[1]!.image === "localhost/envoy:next" ? answer : undefined;
  };
  let after: Pod | undefined;
  for (const end = performance.now() + 5_000; after === undefined && performance.now() < end;) after = await byNext();
  assert.ok(after, "the new replica was never asked");
  assert.equal(
    oursIn(await pods.admitted(await copy(before, "old-pod"), { dryRun: true }))[1]!.image,
    oursIn(before)[1]!.image,
  );
  await next.stop();
  await dataSpacer.startReplica();
  let accepted: Pod | undefined;
  for (const end = performance.now() + 10_000; accepted === undefined && performance.now() < end;) {
    const answer = await pods.liqo.createPod(await copy(after, "new-pod"), { dryRun: true });
    if (answer.created) accepted = answer.pod;
    else assert.match(answer.message, /no endpoints|not ready|failed calling/);
  }
  assert.equal(oursIn(accepted!)[1]!.image, "localhost/envoy:next");
});

Deno.test("without a replica pods are refused: nothing gets through unguarded", async () => {
  const namespace = await pods.settled("alone");
  for (const replica of dataSpacer.replicas) await replica.kill();
  const answer = await pods.liqo.createPod(await liqoPod(namespace, "one"));
  assert.equal(answer.created, false);
  await dataSpacer.startReplica();
  await pods.admitted(await liqoPod(namespace, "two"));
});
