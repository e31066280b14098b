import assert from "node:assert/strict";
import { makeArchive, makeArchives } from "./oci_archive.ts";

/** A folder with some files, made in that order. */
async function makeRoot(folder: string, names: string[]): Promise<string> {
  await Deno.mkdir(`${folder}/bin`, { recursive: true });
  for (const name of names) await Deno.writeTextFile(`${folder}/bin/${name}`, `#!${name}`, { mode: 0o755 });
  return folder;
}

/** A file of the tar. */
async function member(archive: string, path: string): Promise<Uint8Array<ArrayBuffer>> {
  return (await new Deno.Command("tar", { args: ["-xOf", archive, path] }).output()).stdout;
}

async function json(archive: string, path: string): Promise<ReturnType<typeof JSON.parse>> {
  return JSON.parse(new TextDecoder().decode(await member(archive, path)));
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return `sha256:${new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex()}`;
}

Deno.test("makeArchive() writes an image whose parts name each other by digest", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const archive = `${folder}/images/app.tar`;
    const root = await makeRoot(`${folder}/root`, ["a", "b"]);
    const options = { entrypoint: ["/bin/a"], cmd: ["-v"], user: "65532:65532", env: { HOME: "/tmp" } };
    const digest = await makeArchive(root, { ref: "localhost/app:7", archive, ...options });

    const { manifests: [described] } = await json(archive, "index.json");
    assert.equal(described.digest, digest);
    assert.equal(described.annotations["io.containerd.image.name"], "localhost/app:7");
    assert.equal(described.annotations["org.opencontainers.image.ref.name"], "7");
    const blob = (of: string) => `blobs/sha256/${of.replace("sha256:", "")}`;
    const manifest = await json(archive, blob(digest));
    for (const part of [described, manifest.config, ...manifest.layers]) {
      const bytes = await member(archive, blob(part.digest));
      assert.deepEqual([part.digest, part.size], [await sha256(bytes), bytes.length]);
    }
    const { config, rootfs, os } = await json(archive, blob(manifest.config.digest));
    assert.deepEqual(rootfs.diff_ids, [manifest.layers[0].digest]);
    assert.equal(os, "linux");
    assert.deepEqual([config.Entrypoint, config.Cmd, config.User], [["/bin/a"], ["-v"], "65532:65532"]);
    assert.match(config.Env[0], /^PATH=.*\/bin/);
    assert.equal(config.Env[1], "HOME=/tmp");
    assert.deepEqual([...Deno.readDirSync(`${folder}/images`)].map(({ name }) => name), ["app.tar"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("makeArchive() makes the same bytes of the same files, whenever they were made", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const archives = [];
    for (const [i, names] of [["a", "b", "c"], ["c", "b", "a"]].entries()) {
      const root = await makeRoot(`${folder}/root${i}`, names);
      await Deno.utime(`${root}/bin/a`, i + 1, i + 1);
      await makeArchive(root, { ref: "localhost/app:1", archive: `${folder}/${i}.tar` });
      archives.push(await sha256(await Deno.readFile(`${folder}/${i}.tar`)));
    }
    assert.equal(archives[0], archives[1]);
    await Deno.writeTextFile(`${folder}/root1/bin/a`, "other");
    await makeArchive(`${folder}/root1`, { ref: "localhost/app:1", archive: `${folder}/1.tar` });
    assert.notEqual(await sha256(await Deno.readFile(`${folder}/1.tar`)), archives[0]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("makeArchives() has a layer once that several images share", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const layers = await Promise.all(["base", "a", "b"].map((name) => makeRoot(`${folder}/${name}`, [name])));
    const [base, a, b] = layers as [string, string, string];
    const archive = `${folder}/images.tar`;
    const digests = await makeArchives(archive, [
      { ref: "localhost/a:1", layers: [base, a], user: "1" },
      { ref: "localhost/b:1", layers: [base, b], user: "2" },
    ]);
    const { manifests } = await json(archive, "index.json");
    assert.deepEqual(manifests.map(({ digest }: { digest: string }) => digest), digests);
    const blob = (digest: string) => `blobs/sha256/${digest.replace("sha256:", "")}`;
    const images = await Promise.all(digests.map((digest) => json(archive, blob(digest))));
    const found = images.map(({ layers }) => layers.map(({ digest }: { digest: string }) => digest));
    assert.deepEqual([found[0].length, found[1].length], [2, 2]);
    assert.equal(found[0][0], found[1][0]);
    assert.notEqual(found[0][1], found[1][1]);
    const users = await Promise.all(
      images.map(async ({ config }) => (await json(archive, blob(config.digest))).config.User),
    );
    assert.deepEqual(users, ["1", "2"]);
    const { stdout } = await new Deno.Command("tar", { args: ["-tf", archive] }).output();
    assert.equal(new TextDecoder().decode(stdout).match(/sha256\/\w/g)!.length, 3 + 2 + 2); // layers, configurations, manifests
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("makeArchive() says what tar said", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const making = makeArchive(`${folder}/absent`, { ref: "localhost/app:1", archive: `${folder}/app.tar` });
    await assert.rejects(making, /^Error: Cannot make an image: tar said .*absent.*No such file/);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
