import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { createLog } from "../../lib/ops/log.ts";
import { checkPair, type KeyPair } from "../../lib/webhook/certificate_source.ts";
import { readCertificates } from "../../lib/webhook/certificates.ts";
import { OwnCa, serviceNames } from "../../lib/webhook/own_ca.ts";
import { FakeClock, settled } from "../controller/fake_clock.ts";
import { FakeApi, refusal } from "./fake_api.ts";
import { certificates, DAY, until } from "./support.ts";

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 1);
const timings = { authorityMs: 3_650 * DAY, leafMs: 30 * DAY, settleMs: MINUTE };

/** Replicas before one API server. Simulated time moves when told to; signing takes real time. */
class Cluster implements AsyncDisposable {
  readonly api = new FakeApi();
  readonly clock = new FakeClock(0);
  readonly lines: string[] = [];
  readonly #abort = new AbortController();
  readonly #running: Promise<void>[] = [];
  wallMs = START;

  /** Starts a replica; returns the pairs that it has served. */
  start(): { pairs: KeyPair[]; own: OwnCa } {
    const { api, clock } = this;
    const own = new OwnCa({
      client: api.client,
      caches: { secrets: api.secret, configurations: api.configuration, synced: Promise.resolve() },
      namespace: "ours",
      webhookConfiguration: "hook",
      names: [...serviceNames("data-spacer", "ours"), "10.1.2.3", "fd00::1"],
      timings,
      log: createLog({ level: "debug", write: (line) => this.lines.push(line) }),
      now: () => this.wallMs + clock.now(),
      steady: clock.now,
      sleep: (ms, signal) => clock.sleep(ms, signal ?? new AbortController().signal),
      random: () => 0.5,
    });
    const pairs: KeyPair[] = [];
    this.#running.push((async () => {
      for await (const pair of own.pairs(this.#abort.signal)) pairs.push(pair);
    })());
    return { pairs, own };
  }

  /** What API servers would find wrong with a pair now. */
  fault(pair: KeyPair | undefined): string | undefined {
    if (!pair) return "there is none";
    const host = "data-spacer.ours.svc";
    try {
      checkPair(pair.cert, pair.key, { host, nowMs: this.wallMs + this.clock.now() });
    } catch (error) {
      return String(error);
    }
    const leaf = new X509Certificate(pair.cert);
    const authorities = readCertificates(this.api.bundle()).certificates.map(({ pem }) => new X509Certificate(pem));
    return authorities.some((ca) => leaf.verify(ca.publicKey)) ? undefined : "not trusted";
  }

  /** Lets simulated time pass, with moments of real time in which to sign. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 2_000) {
      await this.clock.advance(Math.min(left, 2_000));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  count(message: string): number {
    return this.lines.filter((line) => line.includes(message)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#running);
    assert.equal(this.api.secret.listeners + this.api.configuration.listeners, 0);
    assert.equal(this.clock.pending, 0);
  }
}

/** A cluster in which one replica runs and all is well. */
async function settledCluster(): Promise<{ cluster: Cluster; pairs: KeyPair[]; own: OwnCa }> {
  const cluster = new Cluster();
  cluster.api.install();
  const replica = cluster.start();
  await until(() => cluster.fault(replica.pairs[0]) === undefined);
  return { cluster, ...replica };
}

Deno.test("own authority: the first replica makes it, is trusted by it, and then writes nothing more", async () => {
  await using cluster = new Cluster();
  cluster.api.install(2);
  const { pairs, own } = cluster.start();
  await until(() => cluster.fault(pairs[0]) === undefined);
  assert.equal(own.trusted, true);
  assert.equal(cluster.api.bundle(1), cluster.api.bundle(0));
  assert.equal(pairs[0]!.notAfter, START + timings.leafMs);
  const leaf = new X509Certificate(pairs[0]!.cert);
  for (const host of ["data-spacer.ours.svc", "data-spacer.ours.svc.cluster.local"]) {
    assert.equal(leaf.checkHost(host), host);
  }
  for (const address of ["10.1.2.3", "fd00::1"]) assert.equal(leaf.checkIP(address), address);
  await cluster.clock.advance(10 * MINUTE);
  assert.deepEqual(cluster.api.calls, ["create Secret", "patch MutatingWebhookConfiguration"]);
  assert.equal(pairs.length, 1);
});

Deno.test("own authority: a replica that starts later writes nothing", async () => {
  const { cluster } = await settledCluster();
  await using _ = cluster;
  const writes = cluster.api.calls.length;
  const { pairs } = cluster.start();
  await until(() => cluster.fault(pairs[0]) === undefined);
  await cluster.clock.advance(2 * MINUTE);
  assert.equal(cluster.api.calls.length, writes);
});

Deno.test("own authority: replicas that start at once agree", async () => {
  await using cluster = new Cluster();
  cluster.api.install();
  const replicas = [cluster.start(), cluster.start(), cluster.start()];
  await until(() => replicas.every(({ pairs }) => cluster.fault(pairs.at(-1)) === undefined));
  await cluster.clock.advance(2 * MINUTE);
  assert.equal(readCertificates(cluster.api.bundle()).certificates.length, 1);
  assert.equal(cluster.api.calls.filter((call) => call === "create Secret").length, 1);
  assert.equal(cluster.count('"level":"error"'), 0);
});

Deno.test("own authority: a caBundle that somebody empties or fills with something else is put right at once", async () => {
  const { cluster, pairs } = await settledCluster();
  await using _ = cluster;
  cluster.api.install(3); // as applying the manifest does
  await until(() => cluster.fault(pairs[0]) === undefined && cluster.api.bundle(2) !== "");
  const configuration = cluster.api.configuration.object!;
  configuration.webhooks![1]!.clientConfig.caBundle = "!!";
  cluster.api.configuration.put(configuration);
  await until(() => cluster.api.bundle(1) === cluster.api.bundle(0));
  assert.equal(pairs.length, 1);
});

Deno.test("own authority: a webhook configuration that is installed later is found", async () => {
  await using cluster = new Cluster();
  const { pairs, own } = cluster.start();
  await until(() => pairs.length === 1);
  assert.equal(own.trusted, false);
  cluster.api.install();
  await until(() => cluster.fault(pairs[0]) === undefined);
  assert.equal(own.trusted, true);
});

Deno.test("own authority: a Secret that is lost is made anew without a moment of distrust", async (t) => {
  const other = await (await certificates()).maker.authority({ nowMs: START, lifetimeMs: DAY });
  const encode = (text: string) => new TextEncoder().encode(text).toBase64();
  const ways: Record<string, (data: Record<string, string>) => Record<string, string> | undefined> = {
    "deleted": () => undefined,
    "emptied": () => ({}),
    "not base64": (data) => ({ ...data, "ca.crt": "%%%" }),
    "not PEM": (data) => ({ ...data, "ca.crt": encode("hello") }),
    "the key of another": (data) => ({ ...data, "ca.key": encode(other.key) }),
    "no key": (data) => ({ ...data, "ca.key": "" }),
  };
  for (const [way, change] of Object.entries(ways)) {
    await t.step(way, async () => {
      const { cluster, pairs } = await settledCluster();
      await using _ = cluster;
      const second = cluster.start();
      await until(() => second.pairs.length === 1);
      const secret = cluster.api.secret.object!;
      const data = change(secret.data!);
      cluster.api.secret.put(data && { ...secret, data });
      await until(() => readCertificates(cluster.api.bundle()).certificates.length === 2);
      assert.equal(cluster.fault(pairs.at(-1)) ?? cluster.fault(second.pairs.at(-1)), undefined);
      assert.equal(pairs.length, 1); // API servers may not trust the new one yet
      await cluster.clock.advance(MINUTE - 1_000);
      assert.equal(pairs.length, 1);
      await cluster.clock.advance(2_000);
      await until(() => pairs.length === 2 && second.pairs.length === 2);
      assert.equal(cluster.fault(pairs[0]) ?? cluster.fault(pairs[1]) ?? cluster.fault(second.pairs[1]), undefined);
      await until(() => cluster.api.secret.object!.data!["ca.crt"] !== undefined);
      assert.equal(cluster.api.secret.object!.data!["next.crt"], undefined);
    });
  }
});

Deno.test("own authority: it is renewed at two thirds of its life, the former stays trusted for the life of a leaf", async () => {
  const { cluster, pairs } = await settledCluster();
  await using _ = cluster;
  cluster.wallMs += timings.authorityMs * 2 / 3 + DAY; // also past the leaf
  await cluster.clock.advance(MINUTE);
  await until(() => readCertificates(cluster.api.bundle()).certificates.length === 2);
  assert.equal(cluster.fault(pairs.at(-1)), undefined);
  await cluster.clock.advance(MINUTE);
  await until(() => cluster.count('"promotion"') === 1);
  await until(() => pairs.length === 3); // one for the leaf's end, one of the new authority
  assert.equal(cluster.fault(pairs[1]) ?? cluster.fault(pairs[2]), undefined);
  assert.equal(cluster.api.secret.object!.data!["next.key"], undefined);

  cluster.wallMs += timings.leafMs + DAY;
  await cluster.clock.advance(MINUTE);
  await until(() => cluster.count('"retirement"') === 1);
  await cluster.clock.advance(3 * MINUTE);
  await until(() => readCertificates(cluster.api.bundle()).certificates.length === 1);
  assert.equal(cluster.fault(pairs.at(-1)), undefined);
});

Deno.test("own authority: a leaf is renewed in time, and within a minute after the clock has jumped", async (t) => {
  for (const [name, jumpMs] of Object.entries({ "in time": 20 * DAY, "forward": 300 * DAY })) {
    await t.step(name, async () => {
      const { cluster, pairs } = await settledCluster();
      await using _ = cluster;
      cluster.wallMs += jumpMs;
      await cluster.clock.advance(MINUTE);
      await until(() => pairs.length === 2);
      assert.equal(cluster.fault(pairs[1]), undefined);
    });
  }
  await t.step("back before the authority", async () => {
    const { cluster, pairs } = await settledCluster();
    await using _ = cluster;
    cluster.wallMs -= 1_000 * DAY;
    assert.notEqual(cluster.fault(pairs[0]), undefined);
    await cluster.clock.advance(MINUTE);
    await until(() => cluster.fault(pairs.at(-1)) === undefined);
  });
});

Deno.test("own authority: while the API server fails, leaves are renewed, and its part is done when it answers", async () => {
  const { cluster, pairs } = await settledCluster();
  await using _ = cluster;
  const tried: string[] = [];
  cluster.api.before = (call) => {
    tried.push(call);
    throw refusal(500);
  };
  cluster.api.install();
  cluster.wallMs += timings.authorityMs * 2 / 3 + DAY;
  await cluster.pass(10 * MINUTE);
  await until(() => pairs.length === 2);
  assert.ok(tried.length > 10 && tried.length < 120, `${tried.length} calls in ten minutes`);
  assert.ok(tried.includes("replace Secret") && tried.includes("patch MutatingWebhookConfiguration")); // each in its own right
  assert.ok(cluster.count("Cannot keep certificates right") > 10);
  cluster.api.before = () => {};
  await cluster.pass(MINUTE);
  await until(() => readCertificates(cluster.api.bundle()).certificates.length === 2);
  assert.equal(cluster.fault(pairs[1]), undefined);
});

Deno.test("own authority: a Secret that cannot be replaced is reported, and not hammered at", async () => {
  const { cluster } = await settledCluster();
  await using _ = cluster;
  let tries = 0;
  cluster.api.before = (call) => {
    if (call !== "replace Secret") return;
    tries++;
    throw refusal(422); // as for an immutable one
  };
  cluster.api.secret.put({ ...cluster.api.secret.object!, data: {} });
  await cluster.pass(10 * MINUTE);
  await until(() => tries > 10);
  assert.ok(tries < 60, `${tries} tries in ten minutes`);
  assert.ok(cluster.count("Cannot keep certificates right") > 5);
});

Deno.test("own authority: a Secret that is deleted just while it is stored is missed for a minute at most", async () => {
  await using cluster = new Cluster();
  cluster.api.install();
  const end = cluster.api.secret.subscribe(() => {
    end();
    queueMicrotask(() => cluster.api.secret.put(undefined)); // the news overtakes the answer
  });
  const { pairs } = cluster.start();
  await until(() => cluster.fault(pairs[0]) === undefined && cluster.clock.pending === 1); // all is well, it thinks
  assert.equal(cluster.api.secret.object, undefined);
  await cluster.pass(MINUTE);
  await until(() => cluster.api.secret.object !== undefined);
});

Deno.test("own authority: a Secret that is deleted again and again makes no flood of authorities", async () => {
  const { cluster } = await settledCluster();
  await using _ = cluster;
  await cluster.pass(10_000);
  const created = () => cluster.api.calls.filter((call) => call === "create Secret").length;
  const before = created();
  const end = cluster.api.secret.subscribe(({ type }) => {
    if (type === "added") settled().then(settled).then(() => cluster.api.secret.put(undefined));
  });
  cluster.api.secret.put(undefined);
  await until(() => created() > before); // the first at once
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(created(), before + 1);
  await cluster.pass(10_000);
  await until(() => created() > before + 1);
  assert.ok(created() <= before + 3, `${created() - before} made in ten seconds`);
  end();
});
