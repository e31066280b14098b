import assert from "node:assert/strict";
import { makeOnce, makeTogether, type Recipe } from "./image_cache.ts";

/** Runs `use` with an empty cache. */
async function withCache(use: (images: string) => Promise<void>): Promise<void> {
  const [folder, before] = [await Deno.makeTempDir(), Deno.env.get("XDG_CACHE_HOME")];
  Deno.env.set("XDG_CACHE_HOME", folder);
  try {
    await use(`${folder}/data-spacer/images`);
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
    await Deno.remove(folder, { recursive: true });
  }
}

/** An image with one file, and how often it was made. */
function recipe(ref: string, key = ""): Recipe & { made: number } {
  const counted = {
    ref,
    key,
    made: 0,
    fill: async (root: string) => {
      counted.made++;
      await Deno.writeTextFile(`${root}/file`, key);
    },
  };
  return counted;
}

Deno.test("makeOnce() makes an image once, and anew when what it is made of changes", async () => {
  await withCache(async () => {
    const image = recipe("localhost/app:1", "a");
    const first = await makeOnce(image);
    assert.deepEqual(await makeOnce(image), first);
    assert.equal(image.made, 1);
    const changed = recipe("localhost/app:1", "b");
    assert.notEqual((await makeOnce(changed)).archive, first.archive);
    assert.equal(changed.made, 1);
  });
});

Deno.test("makeOnce() removes archives that nobody has used for an hour, several at once too", async () => {
  await withCache(async (folder) => {
    const [used, unused] = [recipe("localhost/used:1"), recipe("localhost/unused:1")];
    const archives = await Promise.all([used, unused].map(makeOnce));
    const old = new Date(Date.now() - 2 * 3_600_000);
    for (const { archive } of archives) await Deno.utime(archive, old, old);
    await makeOnce(used);
    await Promise.all(["a", "b", "c"].map((name) => makeOnce(recipe(`localhost/${name}:1`))));
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name.replace(/-1-.*/, "")).sort();
    assert.deepEqual(names, ["a", "b", "c", "used"]);
  });
});

Deno.test("makeTogether() makes one archive, and makes what the images share once", async () => {
  await withCache(async () => {
    let shared = 0;
    const base = async (root: string) => {
      shared++;
      await Deno.writeTextFile(`${root}/base`, "");
    };
    const images = await makeTogether("both", [recipe("localhost/a:1"), recipe("localhost/b:1")], base);
    assert.deepEqual(images.map(({ ref }) => ref), ["localhost/a:1", "localhost/b:1"]);
    assert.equal(images[0]!.archive, images[1]!.archive);
    assert.equal(shared, 1);
  });
});
