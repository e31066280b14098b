import assert from "node:assert/strict";
import { publish, publishedTemplates, repair } from "../../lib/core/contract.ts";
import { injectionTemplate } from "../../lib/core/injected.ts";
import { PreparedTemplate } from "../../lib/core/injection.ts";
import { testSettings } from "../support/settings.ts";

const [a, b, c] = ["a", "b", "c"].map((name) => injectionTemplate(testSettings({ proxyImage: `envoy:${name}` })));
const ids = (data: Record<string, string> | undefined) => publishedTemplates(data).map(({ id }) => id);

Deno.test("publish() puts a template first and keeps the one before", () => {
  const first = publish(undefined, a!)!;
  const second = publish(first, b!)!;
  const third = publish(second, c!)!;
  assert.deepEqual(ids(first), [a!.id]);
  assert.deepEqual(ids(second), [b!.id, a!.id]);
  assert.deepEqual(ids(third), [c!.id, b!.id]);
});

Deno.test("publish() has nothing to do for what is the newest already", () => {
  assert.equal(publish(publish(publish(undefined, a!), b!), b!), undefined);
});

Deno.test("publish() makes a version that was rolled back to the newest: the upgrade after that keeps it", () => {
  const back = publish(publish(publish(undefined, a!), b!), a!)!;
  assert.deepEqual(ids(back), [a!.id, b!.id]);
  assert.deepEqual(ids(publish(back, c!)), [c!.id, a!.id]);
});

Deno.test("publish() gives admission policies what they compare with, for each template that is kept", () => {
  const data = publish(publish(undefined, a!), b!)!;
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
  const right = publish(publish(undefined, a!), b!)!;
  const { "init-script-1": _, ...partial } = right;
  const table: Record<string, Record<string, string>> = {
    "a key that is missing": partial,
    "another script": { ...right, "init-script-0": "true" },
    "one image more": { ...right, "init-image-2": "evil" },
    "a third template": { ...right, "templates.json": JSON.stringify([...JSON.parse(right["templates.json"]!), c]) },
  };
  for (const [name, data] of Object.entries(table)) {
    await t.step(name, () => {
      assert.deepEqual(publish(data, b!), right);
      assert.deepEqual(repair(data, b!), right);
      assert.deepEqual(repair(data, a!), right);
    });
  }
});

Deno.test("repair() leaves the order of what is published, and publishes what is not", () => {
  const data = publish(publish(undefined, a!), b!)!;
  assert.equal(repair(data, a!), undefined);
  assert.equal(repair(data, b!), undefined);
  assert.deepEqual(ids(repair(data, c!)), [c!.id, b!.id]);
  assert.deepEqual(ids(repair(undefined, a!)), [a!.id]);
});

Deno.test("publishedTemplates() gives back what was published", () => {
  assert.deepEqual(publishedTemplates(publish(publish(undefined, a!), b!)), [b, a]);
});

Deno.test("publishedTemplates() leaves out what cannot be read or used", async (t) => {
  const [text] = Object.values(publish(undefined, a!)!);
  const [key] = Object.keys(publish(undefined, a!)!);
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
