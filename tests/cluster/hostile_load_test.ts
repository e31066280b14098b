import assert from "node:assert/strict";
import { connect, type TLSSocket } from "node:tls";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { selfDial } from "../../lib/webhook/self_dial.ts";
import { startCluster } from "./cluster.ts";
import { startDataSpacer } from "./data_spacer.ts";
import { assertPodGuarded } from "./guarded.ts";
import { first } from "./hostile_pods.ts";
import { Liqo, liqoPod } from "./liqo.ts";
import { until } from "./processes.ts";

// What a consumer, or whoever reaches the webhook's port, may try so that others' pods are not admitted, or not in time.

const cluster = await startCluster();
Deno.test.afterAll(() => cluster[Symbol.asyncDispose]());
const liqo = await Liqo.install(cluster);
const dataSpacer = await startDataSpacer(cluster);
await liqo.createTenantNamespace();
const NAMESPACE = "trial-pharma";
await liqo.createOffloadedNamespace(NAMESPACE);
const ready = await liqo.createPod(await liqoPod(NAMESPACE, "ready"), { dryRun: true, retryMs: 10_000 });
assert.ok(ready.created);
const OURS = ready.pod.spec!.initContainers!.slice(0, 2);

/** Pods that are large in one way or another; all below the API server's limit of 3 MiB. */
const large: Record<string, (pod: Pod) => void> = {
  "1.2 MB of environment": (pod) => {
    first(pod).env = Array.from({ length: 12_000 }, (_, i) => ({ name: `V${i}`, value: "x".repeat(75) }));
  },
  "2.6 MB that JSON escapes": (pod) => first(pod).args = ["<".repeat(2_600_000)],
  "20,000 small variables": (pod) => {
    first(pod).env = Array.from({ length: 20_000 }, (_, i) => ({ name: `V${i}`, value: "" }));
  },
  "10,000 containers": (pod) => {
    pod.spec!.containers = Array.from({ length: 10_000 }, (_, i) => ({ name: `c${i}`, image: "a" }));
  },
  "200 containers": (pod) => {
    pod.spec!.containers = Array.from({ length: 200 }, (_, i) => ({ name: `c${i}`, image: "a" }));
  },
  "100,000 capabilities": (pod) => {
    first(pod).securityContext = { capabilities: { add: Array.from({ length: 100_000 }, (_, i) => `C${i}`) } };
  },
  "20,000 resources": (pod) => {
    const limits = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`a.b/c${i}`, "1"]));
    first(pod).resources = { limits };
  },
  "60,000 projected tokens": (pod) => {
    const sources = Array.from({ length: 60_000 }, () => ({ serviceAccountToken: { path: "t" } }));
    pod.spec!.volumes!.push({ name: "many", projected: { sources } });
  },
  "20,000 annotations": (pod) => {
    for (let i = 0; i < 20_000; i++) pod.metadata!.annotations![`k8s.v1.cni.cncf.io/${i}`] = "";
  },
};

Deno.test("a very large pod is answered in time, and does not hold up another's", async (t) => {
  for (const [name, change] of Object.entries(large)) {
    await t.step(name, async () => {
      const pod = await liqoPod(NAMESPACE, "large");
      change(pod);
      const large = liqo.createPod(pod, { dryRun: true });
      const start = performance.now();
      const small = await liqo.createPod(await liqoPod(NAMESPACE, "small"), { dryRun: true });
      const ms = performance.now() - start;
      assert.ok(small.created, small.created ? "" : small.message);
      assert.ok(ms < 3_000, `the other pod took ${Math.round(ms)} ms`);
      const answer = await large;
      if (answer.created) return assertPodGuarded(answer.pod, OURS);
      assert.ok(answer.message.length < 10_000, `a message of ${answer.message.length} characters`);
      assert.doesNotMatch(answer.message, /context deadline exceeded/);
    });
  }
  assert.equal(await dataSpacer.replica.metric("data_spacer_admissions_total", { reason: "internal" }), 0);
});

/** Connections to the webhook from another address than the API server's. With a finished handshake such a one may stay silent for two minutes. */
class Holder implements Disposable {
  readonly #held = new Set<TLSSocket>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Opens more; resolves when each has its handshake, or has been refused. */
  async hold(count: number, localAddress?: string): Promise<void> {
    const { hostname: host, port } = dataSpacer.replica.webhook;
    await Promise.all(Array.from({ length: count }, () =>
      new Promise<void>((resolve) => {
        const options = { host, port: Number(port), rejectUnauthorized: false, ...localAddress && { localAddress } };
        const socket = connect(options, () => {
          this.#held.add(socket);
          resolve();
        });
        socket.on("error", () => resolve()).on("close", () => {
          this.#held.delete(socket);
          resolve();
        });
      })));
  }

  /** Has each send a byte of a request without end, and another each `everyMs`; opens as many anew as were ended. */
  trickle(count: number, { everyMs, localAddress }: { everyMs: number; localAddress: string }): void {
    const begun = new WeakSet<TLSSocket>();
    this.#timer = setInterval(() => {
      for (const socket of this.#held) {
        socket.write(begun.has(socket) ? "x" : "POST /mutate/pod HTTP/1.1\r\nx: ");
        begun.add(socket);
      }
      this.hold(Math.min(50, count - this.#held.size), localAddress);
    }, everyMs);
  }

  get size(): number {
    return this.#held.size;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const socket of this.#held) socket.destroy();
  }
}

Deno.test("whoever holds all connections that the webhook takes does not lock the API server out", async () => {
  const { hostname, port } = dataSpacer.replica.webhook;
  using holder = new Holder();
  for (let i = 0; i < 12; i++) await holder.hold(50);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await holder.hold(50); // may have ended the API server's own connection, silent for as long
  const answer = await liqo.createPod(await liqoPod(NAMESPACE, "locked-out"), { dryRun: true });
  assert.ok(answer.created, answer.created ? "" : answer.message);
  await selfDial({ hostname, port: Number(port), serverName: "x" }, AbortSignal.timeout(5_000));
  assert.ok(await dataSpacer.replica.metric("data_spacer_connections_ended_total", { reason: "evicted" }) > 50);
});

Deno.test("a source that trickles on all connections that the webhook takes does not lock the API server out", async () => {
  using holder = new Holder();
  holder.trickle(600, { everyMs: 400, localAddress: "127.0.0.9" });
  await until(() => Promise.resolve(holder.size >= 450 || undefined), { ms: 20_000, what: "all connections held" });
  for (let i = 0; i < 20; i++) {
    // Several at a time, for which the API server needs new connections.
    await Promise.all([..."abcdefgh"].map(async (name) => {
      const answer = await liqo.createPod(await liqoPod(NAMESPACE, `trickled-${name}-${i}`), { dryRun: true });
      assert.ok(answer.created, answer.created ? "" : answer.message);
    }));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(holder.size >= 400, `${holder.size} are held`);
  assert.ok(await dataSpacer.replica.metric("data_spacer_connections_ended_total", { reason: "evicted" }) > 0);
});

Deno.test("whoever sends the webhook nonsense does not fill its log, and all of it is counted", async () => {
  const { hostname: host, port } = dataSpacer.replica.webhook;
  const counted = () => dataSpacer.replica.metric("data_spacer_admissions_total", { reason: "bad-review" });
  const before = await counted();
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
  let answers = 0;
  const answered = Promise.withResolvers<void>();
  socket.on("error", answered.reject).on("data", (data) => {
    answers += data.toString().split("HTTP/1.1 404").length - 1;
    if (answers === 500) answered.resolve();
  });
  for (let i = 0; i < 500; i++) socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await answered.promise;
  socket.destroy();
  assert.equal(await counted() - before, 500);
  const lines = (await dataSpacer.replica.logs()).filter(({ message }) => message === "Refused request");
  assert.ok(lines.length > 0 && lines.length <= 25, `${lines.length} lines`);
});
