import assert from "node:assert/strict";
import { makeArchive } from "./oci_archive.ts";

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
