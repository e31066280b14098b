import assert from "node:assert/strict";
import { addresses, type Backend, TENANT, World } from "./pods.ts";
import { missing, must, prepare, run } from "./tools.ts";

const only = { ignore: missing !== undefined };
const script = decodeURIComponent(new URL("../../lib/assets/redirect.sh", import.meta.url).pathname);

/** All rules of both families, without counters. */
async function listing(world: World, backend: Backend = world.backend): Promise<string> {
  const lists = [];
  for (const tool of ["iptables", "ip6tables"]) {
    lists.push(await must(world.a.namespace.enter([`${tool}-${backend}-save`])));
  }
  return lists.join("").replace(/^#.*\n/gm, "").replace(/\[\d+:\d+\]/g, "").split("\n").sort().join("\n");
}

/** A folder of commands that stand in for real ones. */
async function commands(world: World, texts: Record<string, string>): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: world.folder });
  await Deno.chmod(folder, 0o755);
  for (const [name, text] of Object.entries(texts)) {
    await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
  return folder;
}

/** Calls the real command unless its input or arguments match. */
const unless = (name: string, pattern: string, act: string) =>
  `case "$*" in *'${pattern}'*) ${act} ;; esac\ntext=$(cat)\ncase "$text" in *'${pattern}'*) ${act} ;; esac\nprintf '%s\\n' "$text" | /usr/sbin/${name} "$@"`;

Deno.test({ ...only, name: "redirect.sh passes shellcheck" }, async () => {
  await prepare();
  assert.equal(
    await must(["shellcheck", "--shell=sh", "--enable=all", "--exclude=SC2249,SC2250,SC2292,SC2310,SC2312", script]),
    "",
  );
});

for (const backend of ["nft", "legacy"] as const) {
  Deno.test({ ...only, name: `redirect.sh refuses what it cannot trust (${backend})` }, async (t) => {
    await using world = await World.create(backend, { bare: true });
    const before = await listing(world);
    const replace = (key: string, value: string) => (args: string[]) =>
      args.map((arg) => arg.startsWith(`${key}=`) ? `${key}=${value}` : arg);
    const bad: Record<string, string[]> = {
      "proxy-uid": [
        "",
        "0",
        "-1",
        "1x",
        "x",
        "01",
        "4294967295",
        "99999999999",
        "1 2",
        "1\n-A OUTPUT -j ACCEPT",
        "1;true",
        "$(id)",
        "`id`",
        "*",
      ],
      "outbound-port": ["", "0", "65536", "15806", "15821", "1:2", "80,81", "1\n2"],
      "inbound-port": ["15801", "15821", "0x10", "'80'"],
      "health-port": ["15801", "15806", "80 -j ACCEPT"],
      "mark": [
        "",
        "213",
        "0x",
        "0xg",
        "0xD5",
        "0x0",
        "0x05",
        "0x123456789",
        "0xdead",
        "0xd5/0xff",
        "0xd5\n",
        "0xd5 -j ACCEPT",
      ],
      "backend": ["", "iptables", "nft legacy", "nft\n", "NFT"],
      "resolvers": [
        "kube-dns",
        "10.96.0",
        "10.96.0.256",
        "10.96.0.10.1",
        "010.96.0.10",
        "10.96.0.10/0",
        "10.96.0.10 10.96.0.11",
        "10.96.0.10\n-A OUTPUT -j ACCEPT",
        "10.96.0.10,,10.96.0.11",
        ",",
        "::g",
        "fd00::a%eth0",
        "fd00:::a",
        "0.0.0.0/0",
        "!10.96.0.10",
        '"',
        "'",
        "\\n",
      ],
    };
    for (const [key, values] of Object.entries(bad)) {
      await t.step(key, async () => {
        for (const value of values) {
          const { code, err } = await world.a.redirect({ args: replace(key, value) });
          assert.notEqual(code, 0, `${key}=${JSON.stringify(value)} was taken`);
          assert.match(err, /redirect: |iptables|ip6tables/, `${JSON.stringify(value)} gives a reason`);
        }
      });
    }
    const lists: Record<string, (args: string[]) => string[]> = {
      "a parameter that it does not know": (args) => [...args, "dns=8.8.8.8"],
      "an unknown one in place of another": (args) => [...args.slice(0, -1), "back-end=nft"],
      "one that is given twice": (args) => [...args.slice(0, -1), args[1]!],
      "one that is missing": (args) => args.slice(0, -1),
      "no parameter": (args) => args.slice(0, 1),
    };
    for (const [name, args] of Object.entries(lists)) {
      await t.step(name, async () => assert.notEqual((await world.a.redirect({ args })).code, 0));
    }
    await t.step(
      "and has loaded nothing",
      async () => assert.equal((await listing(world)).includes("-A "), before.includes("-A ")),
    );
  });

  Deno.test({ ...only, name: `redirect.sh loads all or closes the pod (${backend})` }, async (t) => {
    await using world = await World.create(backend, { bare: true });
    const { a } = world;
    await using _ = await world.outside.serve("tcp_server", { port: 7900 });
    const open = async () => {
      const results = [];
      for (const to of addresses.outside) {
        results.push(await a.namespace.call("tcp", { to, port: 7900, send: "x", limit: 1, timeout: 0.3 }, TENANT));
        results.push({ connected: (await a.namespace.call("udp", { to, port: 9, timeout: 0.05 }, TENANT)).sent });
      }
      return results.some(({ connected }) => connected);
    };

    assert.equal(await open(), true, "a pod without rules is open");
    const tools = (act: (name: string) => string) => ({
      [`iptables-${backend}-restore`]: act(`iptables-${backend}-restore`),
      [`ip6tables-${backend}-restore`]: act(`ip6tables-${backend}-restore`),
    });
    const failures: Record<string, { texts: Record<string, string>; closed: boolean; says: RegExp }> = {
      "nat fails": {
        texts: tools((name) => unless(name, "*nat", "exit 1")),
        closed: true,
        says: /mangle and nat were not loaded/,
      },
      "mangle fails": {
        texts: tools((name) => unless(name, "*mangle", "exit 1")),
        closed: true,
        says: /mangle and nat were not loaded/,
      },
      "filter fails": {
        texts: tools((name) => unless(name, "*filter", "exit 1")),
        closed: false,
        says: /filter was not loaded/,
      },
      "nat has no effect": {
        texts: tools((name) => unless(name, "*nat", "exit 0")),
        closed: true,
        says: /rules are missing/,
      },
      "a rule gets lost": {
        texts: tools((name) => `sed -e '/--syn/d' | /usr/sbin/${name} "$@"`),
        closed: true,
        says: /rules are missing/,
      },
      "a policy gets lost": {
        texts: tools((name) => `sed -e 's/^:FORWARD DROP/:FORWARD ACCEPT/' | /usr/sbin/${name} "$@"`),
        closed: true,
        says: /FORWARD is open/,
      },
      "the rules cannot be read back": {
        texts: { [`ip6tables-${backend}-save`]: "exit 1" },
        closed: true,
        says: /cannot read/,
      },
      "a connection is not redirected": {
        texts: { nc: "echo 'nc: timed out' >&2; exit 1" },
        closed: true,
        says: /self-test failed/,
      },
      "a datagram leaves": { texts: { tftp: "exit 0" }, closed: true, says: /self-test failed/ },
    };
    for (const [name, { texts, closed, says }] of Object.entries(failures)) {
      await t.step(name, async () => {
        await a.unprotect();
        const { code, err } = await a.redirect({ path: await commands(world, texts) });
        assert.equal(code, 1, err);
        assert.match(err, says);
        if (closed) assert.equal(await open(), false);
      });
    }

    await t.step("twice gives the same rules, and connections live on", async () => {
      await a.protect();
      const first = await listing(world);
      await a.startProxy();
      const connection = a.namespace.call("tcp", {
        to: addresses.outside[0],
        port: 7900,
        send: "x",
        pause: 1,
        limit: 1,
      }, TENANT);
      await a.protect();
      assert.equal(await listing(world), first);
      assert.equal((await connection).data, "x");
      await a.stopProxy();
    });
    await t.step("it says what it proved", async () => {
      const { err } = await a.redirect();
      assert.match(err, new RegExp(`back end ${backend}, IP versions 6 4\\), proved by read-back and self-test$`, "m"));
    });
    await t.step("a match that the kernel lacks costs its comfort alone, and is said", async () => {
      for (const [word, says] of [["-m socket", /without socket/], ["-m connbytes", /without connbytes/]] as const) {
        await a.unprotect();
        const { code, err } = await a.redirect({
          path: await commands(world, tools((name) => unless(name, word, "exit 1"))),
        });
        assert.equal(code, 0, err);
        assert.match(err, says);
        assert.equal(await open(), false, "closed while no proxy runs");
      }
    });
    await t.step("rules of somebody else in these tables do not survive", async () => {
      await must(a.namespace.enter([`iptables-${backend}`, "-I", "OUTPUT", "-j", "ACCEPT"]));
      await must(a.namespace.enter([`iptables-${backend}`, "-t", "nat", "-I", "OUTPUT", "-j", "ACCEPT"]));
      await a.protect();
      assert.equal(await open(), false);
    });
  });
}

Deno.test(
  { ...only, name: "redirect.sh uses the legacy back end where nf_tables does not work, and says so" },
  async () => {
    await using world = await World.create("nft", { bare: true });
    const { code, err } = await world.a.redirect({ path: await commands(world, { "iptables-nft-save": "exit 1" }) });
    assert.equal(code, 0, err);
    assert.match(err, /back end legacy/);
    assert.match(await listing(world, "legacy"), /REDIRECT --to-ports 15801/);
    assert.doesNotMatch(await listing(world, "nft"), /REDIRECT/);
  },
);

Deno.test(
  { ...only, name: "redirect.sh without busybox proves itself by the read-back alone, and says so" },
  async () => {
    await using world = await World.create("nft", { bare: true });
    await Deno.remove(`${world.folder}/init/nc`);
    const { code, err } = await world.a.redirect();
    assert.deepEqual([code, /proved by read-back$/m.test(err)], [0, true], err);
  },
);

Deno.test({ ...only, name: "redirect.sh needs no more than sh and iptables to load the rules" }, async () => {
  await using world = await World.create("nft", { bare: true });
  const folder = `${world.folder}/bare-path`;
  await Deno.mkdir(folder);
  for (const tool of ["iptables", "ip6tables"]) {
    for (const name of [`${tool}-nft-restore`, `${tool}-nft-save`]) {
      await Deno.symlink((await must(["sh", "-c", `command -v ${name}`])).trim(), `${folder}/${name}`);
    }
  }
  const { script, args } = world.a.initCommand();
  const { code, err } = await run(
    world.a.namespace.enter(["env", "-i", `PATH=${folder}`, "/bin/sh", "-c", script, ...args]),
  );
  assert.equal(code, 0, err);
});
