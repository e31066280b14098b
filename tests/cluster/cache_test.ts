import assert from "node:assert/strict";
import { cacheFolder, exists, makeFolder, withLock } from "./cache.ts";
import { withCache } from "./own_cache.ts";

Deno.test("withLock() lets one at a time", () =>
  withCache(async () => {
    let inside = 0;
    let waits = 0;
    const results = await Promise.all([1, 2, 3].map((n) =>
      withLock("test", async () => {
        assert.equal(++inside, 1);
        await new Promise((resolve) => setTimeout(resolve, 20));
        inside--;
        return n;
      }, () => waits++)
    ));
    assert.deepEqual(results, [1, 2, 3]);
    assert.equal(waits, 2);
  }));

Deno.test("withLock() frees the lock of a holder that failed or was killed", () =>
  withCache(async () => {
    await assert.rejects(withLock("test", () => Promise.reject(new Error("broken"))), /broken/);
    const code = `
      const { withLock } = await import(${JSON.stringify(new URL("cache.ts", import.meta.url).href)});
      await withLock("test", async () => { console.log("held"); await new Promise((r) => setTimeout(r, 60_000)); });
    `;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill("SIGKILL");
    assert.equal(await withLock("test", () => Promise.resolve("mine")), "mine");
    await reader.cancel();
    await child.status;
  }));

Deno.test("makeFolder() leaves nothing under the final name when it is interrupted, and starts anew", () =>
  withCache(async () => {
    const final = `${cacheFolder()}/thing`;
    await assert.rejects(makeFolder(final, async (temporary) => {
      await Deno.writeTextFile(`${temporary}/half`, "");
      throw new Error("interrupted");
    }));
    assert.equal(await exists(final), false);
    await makeFolder(final, (temporary) => Deno.writeTextFile(`${temporary}/whole`, ""));
    assert.deepEqual((await Array.fromAsync(Deno.readDir(final))).map(({ name }) => name), ["whole"]);
  }));
