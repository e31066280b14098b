import assert from "node:assert/strict";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { SUPERSEDED_MS } from "../../lib/core/contract.ts";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { KubeError } from "../../lib/kube/errors.ts";
import { Contract, type ContractDeps } from "../../lib/state/contract.ts";
import { FakeSource } from "../support/fake_api.ts";
import { testSettings } from "../support/settings.ts";

const templates = ["a", "b", "c"].map((name) => injectionTemplate(testSettings({ proxyImage: `envoy:${name}` })));

/** One ConfigMap with optimistic locking; `race` runs before the next write, as another replica would. */
function setUp() {
  const published = new FakeSource<Readonly<Record<string, string>>>();
  let stored: ConfigMap | undefined;
  let race: (() => Promise<void>) | undefined;
  let version = 0;
  const store = (object: ConfigMap) => {
    stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++version) } };
    published.set("data-spacer/data-spacer-contract", stored.data!);
    return stored;
  };
  const refuse = (status: number) => new KubeError({ status, reason: "", message: "Cannot" });
  const beforeWrite = async () => {
    const other = race;
    race = undefined;
    await other?.();
  };
  const client = {
    get: () => stored === undefined ? Promise.reject(refuse(404)) : Promise.resolve(stored),
    create: async (_resource: unknown, object: ConfigMap) => {
      await beforeWrite();
      if (stored !== undefined) throw refuse(409);
      return store(object);
    },
    replace: async (_resource: unknown, object: ConfigMap) => {
      await beforeWrite();
      if (object.metadata?.resourceVersion !== stored?.metadata?.resourceVersion) throw refuse(409);
      return store(object);
    },
  } as unknown as ContractDeps["client"];
  let time = Date.UTC(2026, 0, 1);
  const contract = (i: number) =>
    new Contract({ client, namespace: "data-spacer", mine: templates[i]!, published, now: () => time });
  return {
    advance: (ms: number) => time += ms,
    contract,
    data: () => stored?.data,
    setRace: (other: () => Promise<void>) => race = other,
  };
}

const { signal } = new AbortController();

Deno.test("Contract.publish() keeps this version and the one before, newest first", async () => {
  const { contract, data } = setUp();
  for (const i of [0, 1, 2]) await contract(i).publish(signal);
  const ids = JSON.parse(data()!["templates.json"]!).map(({ id }: { id: string }) => id);
  assert.deepEqual(ids, [templates[2]!.id, templates[1]!.id]);
  const before = data();
  await contract(2).publish(signal);
  assert.equal(data(), before, "what is published already is not written again");
});

Deno.test("Contract.publish() lets two replicas that start at once both be heard", async (t) => {
  for (const first of [false, true]) {
    await t.step(first ? "the first ever" : "a change", async () => {
      const { contract, data, setRace } = setUp();
      if (!first) await contract(2).publish(signal);
      setRace(() => contract(1).publish(signal));
      await contract(0).publish(signal);
      const ids = JSON.parse(data()!["templates.json"]!).map(({ id }: { id: string }) => id);
      assert.deepEqual(ids, [templates[0]!.id, templates[1]!.id]);
    });
  }
});

Deno.test("Contract.injection() accepts what other replicas publish, and survives nonsense", async () => {
  const { contract } = setUp();
  const mine = contract(0);
  const end = mine.follow();
  assert.deepEqual(mine.injection().accepted, []);
  await mine.publish(signal);
  await contract(1).publish(signal);
  assert.deepEqual(mine.injection().accepted.map(({ source }) => source.id), [templates[1]!.id]);
  assert.equal(mine.injection().current.source.id, templates[0]!.id);
  end();
  const published = new FakeSource<Readonly<Record<string, string>>>();
  for (const text of ["", "no json", "{}", "[null, 1, {}]"]) {
    published.set("data-spacer/data-spacer-contract", { "templates.json": text });
    const other = new Contract({
      client: {} as ContractDeps["client"],
      namespace: "data-spacer",
      mine: templates[0]!,
      published,
      now: Date.now,
    });
    other.follow()();
    assert.deepEqual(other.injection().accepted, [], text);
  }
});

Deno.test("Contract.injection() accepts the version before for an hour, also if nobody takes it off", async () => {
  const { contract, advance, data } = setUp();
  await contract(0).publish(signal);
  const mine = contract(1);
  await mine.publish(signal);
  mine.follow();
  const before = data();
  advance(SUPERSEDED_MS - 1);
  assert.deepEqual(mine.injection().accepted.map(({ source }) => source.id), [templates[0]!.id]);
  advance(1);
  assert.deepEqual(mine.injection().accepted, []);
  assert.equal(data(), before);
});

Deno.test("Contract.repair() says when to come again, and takes off the version before then", async () => {
  const { contract, advance, data } = setUp();
  await contract(0).publish(signal);
  assert.deepEqual(await contract(0).repair(signal), {});
  const mine = contract(1);
  await mine.publish(signal);
  advance(1_000);
  const { requeueAfterMs } = await mine.repair(signal);
  assert.equal(requeueAfterMs, SUPERSEDED_MS - 1_000);
  advance(requeueAfterMs!);
  assert.deepEqual(await mine.repair(signal), {});
  assert.deepEqual(Object.keys(data()!), ["templates.json", "init-image-0", "init-script-0", "proxy-image-0"]);
});

Deno.test("Contract.renew() keeps a version that still runs acceptable to the newer one, for as long as a rollout takes", async () => {
  const { contract, advance } = setUp();
  const older = contract(0);
  const newer = contract(1);
  await older.publish(signal);
  await newer.publish(signal);
  newer.follow();
  for (let hours = 0; hours < 3; hours += 0.25) {
    const { requeueAfterMs } = await older.renew(signal);
    advance(requeueAfterMs);
    await newer.repair(signal);
    await newer.renew(signal);
    assert.equal(newer.injection().accepted.length, 1, `after ${hours} h`);
  }
  advance(SUPERSEDED_MS); // the last replica of that version has ended
  assert.equal(newer.injection().accepted.length, 0);
});

Deno.test("Contract.repair() leaves the order of the versions, and publishes what is missing", async () => {
  const { contract, data } = setUp();
  await contract(0).publish(signal);
  await contract(1).publish(signal);
  const before = data();
  await contract(0).repair(signal);
  assert.equal(data(), before);
  await contract(2).repair(signal);
  const ids = JSON.parse(data()!["templates.json"]!).map(({ id }: { id: string }) => id);
  assert.deepEqual(ids, [templates[2]!.id, templates[1]!.id]);
});

Deno.test("Contract.subscribe() names the ConfigMap at once, and whenever it changes or goes", () => {
  const published = new FakeSource<Readonly<Record<string, string>>>();
  const contract = new Contract({
    client: {} as ContractDeps["client"],
    namespace: "ours",
    mine: templates[0]!,
    published,
    now: Date.now,
  });
  const keys: string[] = [];
  const end = contract.subscribe((key) => keys.push(key));
  published.set("ours/data-spacer-contract", {});
  published.delete("ours/data-spacer-contract");
  end();
  published.set("ours/data-spacer-contract", {});
  assert.deepEqual(keys, Array(3).fill("ours/data-spacer-contract"));
});
