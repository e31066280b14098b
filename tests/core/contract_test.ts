import assert from "node:assert/strict";
import {
  expiry,
  publish,
  publishedTemplates,
  renew,
  RENEW_MS,
  repair,
  SUPERSEDED_MS,
} from "../../lib/core/contract.ts";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { PreparedTemplate } from "../../lib/core/injection.ts";
import { testSettings } from "../support/settings.ts";

const [a, b, c] = ["a", "b", "c"].map((name) => injectionTemplate(testSettings({ proxyImage: `envoy:${name}` })));
const at = { now: Date.UTC(2026, 0, 1) };
const later = (ms: number) => ({ now: at.now + ms });
const ids = (data: Record<string, string> | undefined) => publishedTemplates(data).map(({ id }) => id);

Deno.test("publish() puts a template first and keeps the one before", () => {
  const first = publish(undefined, a!, at)!;
  const second = publish(first, b!, at)!;
  const third = publish(second, c!, at)!;
  assert.deepEqual(ids(first), [a!.id]);
  assert.deepEqual(ids(second), [b!.id, a!.id]);
  assert.deepEqual(ids(third), [c!.id, b!.id]);
});

Deno.test("publish() has nothing to do for what is the newest already", () => {
  assert.equal(publish(publish(publish(undefined, a!, at), b!, at), b!, at), undefined);
});

Deno.test("publish() makes a version that was rolled back to the newest: the upgrade after that keeps it", () => {
  const back = publish(publish(publish(undefined, a!, at), b!, at), a!, at)!;
  assert.deepEqual(ids(back), [a!.id, b!.id]);
  assert.deepEqual(ids(publish(back, c!, at)), [c!.id, a!.id]);
});

Deno.test("publish() gives admission policies what they compare with, for each template that is kept", () => {
  const data = publish(publish(undefined, a!, at), b!, at)!;
  const [init] = JSON.parse(a!.containers);
  assert.deepEqual(Object.keys(data), [
    "templates.json",
    ...["init-image-0", "init-script-0", "proxy-image-0", "init-image-1", "init-script-1", "proxy-image-1"],
  ]);
  assert.deepEqual([data["proxy-image-0"], data["proxy-image-1"]], ["envoy:b", "envoy:a"]);
  assert.equal(data["init-image-1"], init.image);
  assert.equal(data["init-script-1"], init.command[2]);
});

Deno.test("publish() and repair() put right what somebody else has changed, and take off what does not belong there", async (t) => {
  const right = publish(publish(undefined, a!, at), b!, at)!;
  const { "init-script-1": _, ...partial } = right;
  const table: Record<string, Record<string, string>> = {
    "a key that is missing": partial,
    "another script": { ...right, "init-script-0": "true" },
    "one image more": { ...right, "init-image-2": "evil" },
    "a third template": { ...right, "templates.json": JSON.stringify([...JSON.parse(right["templates.json"]!), c]) },
  };
  for (const [name, data] of Object.entries(table)) {
    await t.step(name, () => {
      assert.deepEqual(publish(data, b!, at), right);
      assert.deepEqual(repair(data, b!, at), right);
      assert.deepEqual(repair(data, a!, at), right);
    });
  }
});

Deno.test("repair() leaves the order of what is published, and publishes what is not", () => {
  const data = publish(publish(undefined, a!, at), b!, at)!;
  assert.equal(repair(data, a!, at), undefined);
  assert.equal(repair(data, b!, at), undefined);
  assert.deepEqual(ids(repair(data, c!, at)), [c!.id, b!.id]);
  assert.deepEqual(ids(repair(undefined, a!, at)), [a!.id]);
});

Deno.test("publishedTemplates() gives back what was published, with the time at which it was superseded", () => {
  const data = publish(publish(undefined, a!, at), b!, later(5));
  assert.deepEqual(publishedTemplates(data), [b, { ...a, supersededAt: later(5).now }]);
});

Deno.test("repair() takes the version before off an hour after another was published, with all that policies compare with", () => {
  const data = publish(publish(undefined, a!, at), b!, at)!;
  assert.equal(SUPERSEDED_MS, 3_600_000);
  assert.equal(repair(data, b!, later(SUPERSEDED_MS - 1)), undefined);
  const after = repair(data, b!, later(SUPERSEDED_MS))!;
  assert.deepEqual(ids(after), [b!.id]);
  assert.deepEqual(Object.keys(after), ["templates.json", "init-image-0", "init-script-0", "proxy-image-0"]);
  assert.equal(repair(after, b!, later(SUPERSEDED_MS)), undefined);
});

Deno.test("publish() does not put what has expired behind a newer version", () => {
  const data = publish(publish(undefined, a!, at), b!, at)!;
  assert.deepEqual(ids(publish(data, b!, later(SUPERSEDED_MS))), [b!.id]);
  assert.deepEqual(ids(publish(data, c!, later(SUPERSEDED_MS))), [c!.id, b!.id]);
  assert.deepEqual(
    publish(data, a!, later(SUPERSEDED_MS)),
    publish(publish(undefined, b!, at), a!, later(SUPERSEDED_MS)),
  );
});

Deno.test("repair() gives a time to what a version without times has superseded, and none in the future counts", async (t) => {
  const right = publish(publish(undefined, a!, at), b!, at)!;
  const table: Record<string, object> = {
    "no time": {},
    "nonsense": { supersededAt: "today" },
    "a time to come": { supersededAt: later(1).now },
  };
  for (const [name, time] of Object.entries(table)) {
    await t.step(name, () => {
      const data = { ...right, "templates.json": JSON.stringify([b, { ...a, ...time }]) };
      assert.deepEqual(repair(data, b!, at), right);
    });
  }
  assert.deepEqual(
    repair(
      {
        ...right,
        "templates.json": JSON.stringify([{ ...b, supersededAt: 0 }, ...publishedTemplates(right).slice(1)]),
      },
      b!,
      at,
    ),
    right,
  );
  assert.equal(expiry(publishedTemplates({ "templates.json": JSON.stringify([a]) })[0]!), Infinity);
});

Deno.test("repair() by the version before keeps that version, which runs: it leads again while a rollout is stuck", () => {
  const data = publish(publish(undefined, a!, at), b!, at)!;
  const after = repair(data, a!, later(SUPERSEDED_MS))!;
  assert.deepEqual(publishedTemplates(after).map(expiry), [Infinity, later(2 * SUPERSEDED_MS).now]);
});

Deno.test("renew() keeps what is injected beside a newer version acceptable, and touches nothing else", () => {
  const data = publish(publish(undefined, a!, at), b!, at)!;
  assert.equal(renew(data, b!, later(RENEW_MS)), undefined, "the newest");
  assert.equal(renew(data, a!, later(RENEW_MS - 1)), undefined, "not yet");
  const renewed = renew(data, a!, later(RENEW_MS))!;
  assert.deepEqual(publishedTemplates(renewed).map(expiry), [Infinity, later(RENEW_MS + SUPERSEDED_MS).now]);
  assert.equal(renew(renewed, c!, later(RENEW_MS)), undefined, "a third version");
  assert.deepEqual(ids(renew(data, c!, later(SUPERSEDED_MS))), [b!.id, c!.id]);
  assert.deepEqual(ids(renew(publish(undefined, b!, at), a!, at)), [b!.id, a!.id], "taken off before");
  assert.equal(renew(undefined, a!, at), undefined, "the leader's to publish");
});

Deno.test("publishedTemplates() leaves out what cannot be read or used", async (t) => {
  const [text] = Object.values(publish(undefined, a!, at)!);
  const [key] = Object.keys(publish(undefined, a!, at)!);
  const table: [string, unknown][] = [
    ["no JSON", "{"],
    ["no list", "{}"],
    ["nothing", "[null, 1, {}, []]"],
    ["containers of nonsense", JSON.stringify([{ ...a, containers: "{" }])],
    ["containers that are no list", JSON.stringify([{ ...a, containers: "{}" }])],
    ["one container", JSON.stringify([{ ...a, containers: '[{"name":"x"}]' }])],
    ["a null container", JSON.stringify([{ ...a, containers: '[null,{"name":"x"}]' }])],
    ["a container without an image", JSON.stringify([{ ...a, containers: '[{"name":"x"},{"name":"y"}]' }])],
    ["volumes of nonsense", JSON.stringify([{ ...a, volumes: "5" }])],
    ["no uids", JSON.stringify([{ ...a, proxyUids: null }])],
    ["endless uids", JSON.stringify([{ ...a, proxyUids: { first: 1, last: 1e300 } }])],
    ["no digests", JSON.stringify([{ ...a, objects: {} }])],
  ];
  for (const [name, value] of table) {
    await t.step(name, () => assert.deepEqual(publishedTemplates({ [key!]: value as string }), []));
  }
  await t.step("but keeps what is right beside it", () => {
    const mixed = JSON.stringify([null, ...JSON.parse(text!)]);
    const [template] = publishedTemplates({ [key!]: mixed });
    assert.equal(template?.id, a!.id);
    assert.equal(new PreparedTemplate(template!).volumes.length, 2);
  });
});
