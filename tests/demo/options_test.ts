import assert from "node:assert/strict";
import { IMAGES, parseOptions } from "../../demo/options.ts";
import { imagesAt } from "../../demo/where/ground.ts";

const DEFAULTS = { images: IMAGES.template, proxyImage: IMAGES.proxy, keep: false, clean: false, help: false };

Deno.test("parseOptions() reads the demo's arguments", async (t) => {
  const cases: [args: string[], expected: object][] = [
    [[], DEFAULTS],
    [["--keep", "--on", "node"], { ...DEFAULTS, keep: true, on: "node" }],
    [["--context=mine", "--clean"], { ...DEFAULTS, context: "mine", clean: true }],
    [["--context", "mine", "--images", "r.example/NAME:2", "--proxy-image", "r.example/envoy:2"], {
      ...DEFAULTS,
      context: "mine",
      images: "r.example/NAME:2",
      proxyImage: "r.example/envoy:2",
    }],
    [["--record", "a.svg"], { ...DEFAULTS, record: "a.svg" }],
  ];
  for (const [args, expected] of cases) {
    await t.step(args.join(" ") || "none", () => assert.deepEqual(parseOptions(args), expected));
  }
});

Deno.test("parseOptions() names the argument that is wrong", async (t) => {
  const cases: [args: string[], message: RegExp][] = [
    [["--on=moon"], /--on must be kind or node, but is "moon"/],
    [["--on=node", "--context=mine"], /--on and --context exclude each other/],
    [["--context="], /--context must name a context/],
    [["--context=mine", "--images=r.example/x:1"], /--images must have NAME in it, but is "r.example\/x:1"/],
    [["--images=r.example/NAME:1"], /--images and --proxy-image belong to --context/],
    [["--proxy-image=envoy:1"], /--images and --proxy-image belong to --context/],
    [["--fast"], /'--fast'/],
    [["more"], /more/],
  ];
  for (const [args, message] of cases) {
    await t.step(args.join(" "), () => {
      assert.throws(() => parseOptions(args), (error: Error) => {
        assert.match(error.message, /^Cannot tell the story: /);
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

Deno.test("imagesAt() puts the names in place of NAME", () => {
  assert.deepEqual(imagesAt("r.example/x/NAME:2", "r.example/envoy@sha256:00"), {
    controller: "r.example/x/data-spacer:2",
    init: "r.example/x/data-spacer-init:2",
    proxy: "r.example/envoy@sha256:00",
    hospital: "r.example/x/hospital-app:2",
    pharma: "r.example/x/pharma-app:2",
  });
});
