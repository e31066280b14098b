import assert from "node:assert/strict";
import { sleep } from "../../lib/kube/time.ts";
import { createLog } from "../../lib/ops/log.ts";
import type { KeyPair } from "../../lib/webhook/certificate_source.ts";
import { MountedFiles } from "../../lib/webhook/mounted_files.ts";
import type { Authority } from "../../lib/webhook/x509.ts";
import { certificates, DAY, until } from "./support.ts";

/** A Secret's volume as the kubelet makes it: files are links into `..data`, itself a link that is swapped. */
class Volume implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync();
  readonly lines: string[] = [];
  readonly pairs: KeyPair[] = [];
  readonly #abort = new AbortController();
  #looks = 0;
  #running: Promise<void> | undefined;
  #version = 0;

  put(files: Record<string, string>): void {
    const folder = `${this.path}/..v${++this.#version}`;
    Deno.mkdirSync(folder);
    for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${folder}/${name}`, text);
    Deno.symlinkSync(`..v${this.#version}`, `${this.path}/..data_tmp`);
    Deno.renameSync(`${this.path}/..data_tmp`, `${this.path}/..data`);
    for (const name of Object.keys(files)) {
      try {
        Deno.symlinkSync(`..data/${name}`, `${this.path}/${name}`);
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
    }
  }

  follow(pollMs: number, now?: () => number): void {
    const source = new MountedFiles({
      certFile: `${this.path}/tls.crt`,
      keyFile: `${this.path}/tls.key`,
      host: "webhook.test.svc",
      log: createLog({ level: "debug", write: (line) => this.lines.push(line) }),
      pollMs,
      sleep: (ms, signal) => {
        if (ms === pollMs) this.#looks++;
        return sleep(ms, signal);
      },
      ...(now ? { now } : {}),
    });
    this.#running = (async () => {
      for await (const pair of source.pairs(this.#abort.signal)) this.pairs.push(pair);
    })();
  }

  /** How often it has looked. */
  get looks(): number {
    return this.#looks;
  }

  errors(): number {
    return this.lines.filter((line) => line.includes('"level":"error"')).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#running;
    Deno.removeSync(this.path, { recursive: true });
  }
}

async function leaf(): Promise<Authority> {
  const { maker, ca } = await certificates();
  return maker.leaf(ca, { nowMs: Date.now(), lifetimeMs: DAY, names: ["webhook.test.svc"] });
}
const files = ({ cert, key }: Authority) => ({ "tls.crt": cert, "tls.key": key });

Deno.test("MountedFiles gives the pair in the files, and the next one when the volume is swapped", async () => {
  await using volume = new Volume();
  const [first, second] = [await leaf(), await leaf()];
  volume.put(files(first));
  volume.follow(60_000); // only the watch can tell
  await until(() => volume.pairs.length === 1);
  assert.equal(volume.pairs[0]!.cert, first.cert);
  volume.put(files(second));
  await until(() => volume.pairs.length === 2);
  assert.equal(volume.pairs[1]!.key, second.key);
  assert.equal(volume.errors(), 0);
});

Deno.test("MountedFiles waits for files that are not there yet", async () => {
  await using volume = new Volume();
  volume.follow(50);
  await until(() => volume.looks >= 3);
  assert.equal(volume.errors(), 1); // each fault is told once
  volume.put(files(await leaf()));
  await until(() => volume.pairs.length === 1);
});

Deno.test("MountedFiles keeps the pair that it has while the files cannot be used", async (t) => {
  const [good, better] = [await leaf(), await leaf()];
  const { maker, ca } = await certificates();
  const foreign = await maker.leaf(ca, { nowMs: Date.now(), lifetimeMs: DAY, names: ["other.svc"] });
  const expired = await maker.leaf(ca, { nowMs: Date.now() - 9 * DAY, lifetimeMs: DAY, names: ["webhook.test.svc"] });
  const bad: Record<string, Record<string, string>> = {
    "half of them": { "tls.crt": better.cert, "tls.key": good.key },
    "garbage": { "tls.crt": "x", "tls.key": "y" },
    "empty files": { "tls.crt": "", "tls.key": "" },
    "for another host": files(foreign),
    "expired": files(expired),
  };
  await using volume = new Volume();
  volume.put(files(good));
  volume.follow(60_000);
  await until(() => volume.pairs.length === 1);
  for (const [name, content] of Object.entries(bad)) {
    await t.step(name, async () => {
      const { looks } = volume;
      volume.put(content);
      await until(() => volume.looks > looks);
      assert.match(volume.lines.at(-1)!, /Cannot use mounted certificate.*"kept":true/);
      assert.equal(volume.pairs.length, 1);
    });
  }
  volume.put(files(better));
  await until(() => volume.pairs.length === 2);
});

Deno.test("MountedFiles looks regularly where watching cannot be", async () => {
  await using volume = new Volume();
  Deno.removeSync(volume.path);
  volume.follow(30);
  await until(() => volume.errors() === 1);
  assert.ok(volume.lines.some((line) => line.includes("Cannot watch mounted certificate")));
  Deno.mkdirSync(volume.path);
  volume.put(files(await leaf()));
  await until(() => volume.pairs.length === 1);
});
