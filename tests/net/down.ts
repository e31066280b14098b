import assert from "node:assert/strict";
import { CONNTRACK_MARK, ports } from "../../lib/core/names.ts";
import type { Family } from "./attacks.ts";
import { addresses, type Backend, TENANT, World } from "./pods.ts";
import { missing, must } from "./tools.ts";

const FAMILIES: readonly Family[] = [0, 1];
const MARKER = "data-space-marker";

/** Rules that a control leaves out or weakens, as a change of the script. */
const WITHOUT = {
  guard: (script: string) => script.replace(/^-A OUTPUT -p tcp -m multiport --sports .* -j DROP\n/m, ""),
  "! --syn": (script: string) =>
    script.replace("-A OUTPUT -p tcp ! --syn -m connmark", "-A OUTPUT -p tcp -m connmark").replace(
      /^-A OUTPUT -p tcp --syn .*0xdead\n/m,
      "",
    ),
  "end of the mark": (script: string) => script.replace(/^-A OUTPUT -p tcp --syn .*0xdead\n/m, ""),
  "drop of what was ended": (script: string) => script.replace(/^-A INPUT -m connmark --mark 0xdead -j DROP\n/m, ""),
  "mark": (script: string) => script.replace(/^-A OUTPUT -p tcp ! --syn -m connmark .*\n/m, ""),
  "loopback destinations stay": (script: string) => script.replace(/^-A POSTROUTING .*\n/m, ""),
  "early end": (script: string) => script.replace(/^early_end=.*$/m, "early_end=''"),
  "socket match": (script: string) => script.replace(/^listening=.*$/m, "listening=''"),
  "direct hits from outside": (script: string) => script.replace(/^-A PREROUTING ! -i lo \$capture -j DROP\n/m, ""),
  "direct hits from the pod": (script: string) => script.replace(/^-A INPUT \$capture -j DROP\n/m, ""),
} as const;

/** Whether a server of the consumer that holds `listen` gets to talk to somebody outside who calls `target`. */
async function squats(world: World, family: Family, listen: number[], target: number): Promise<boolean> {
  const { a, outside } = world;
  await using stack = new AsyncDisposableStack();
  for (const port of listen) {
    stack.use(await a.namespace.serve("tcp_server", { port, kind: "banner", banner: MARKER }, TENANT));
  }
  const result = await outside.call("tcp", {
    to: addresses.a[family],
    port: target,
    limit: MARKER.length,
    timeout: 0.7,
  });
  return result.data === MARKER;
}

/** Whether a process that holds the outbound port gets what another one sends out. */
async function robs(world: World, family: Family): Promise<boolean> {
  const { a } = world;
  const host = ["127.0.0.1", "::1"][family];
  await using _ = await a.namespace.serve(
    "tcp_server",
    { port: ports.outbound, host, kind: "banner", banner: MARKER },
    TENANT,
  );
  const args = { to: addresses.outside[family], port: 7400, limit: MARKER.length, timeout: 0.7 };
  return (await a.namespace.call("tcp", args, { uid: 10_002 })).data === MARKER;
}

/** Row 17: both sides open at the same time. A socket bound to eth0 keeps trying, since its redirected SYN goes nowhere. */
async function crosses(world: World, family: Family, port: number, device?: string): Promise<boolean> {
  const { a, outside } = world;
  const [inside, beyond] = await Promise.all([
    a.namespace.call("crossing", {
      to: addresses.outside[family],
      port: 7500,
      bind: addresses.a[family],
      bind_port: port,
      device,
      timeout: 1.2,
    }, TENANT),
    outside.call("call_again", {
      to: addresses.a[family],
      port,
      bind: addresses.outside[family],
      bind_port: 7500,
      timeout: 1.2,
    }),
  ]);
  return inside.connected === true && beyond.connected === true;
}

/** What row 22 needs of the peer: it never ends a connection from its side, and forgets its sockets unseen. */
async function confederate(world: World): Promise<void> {
  for (const tool of ["iptables", "ip6tables"]) {
    for (const flag of ["FIN", "RST"]) {
      await must(
        world.outside.enter([
          `${tool}-${world.backend}`,
          "-A",
          "OUTPUT",
          "-p",
          "tcp",
          "--tcp-flags",
          flag,
          flag,
          "-j",
          "DROP",
        ]),
      );
    }
  }
  // The proxy's socket is gone 1 s after it was closed, not 60; the remembered connection is not.
  await world.a.namespace.sysctl("net/ipv4/tcp_fin_timeout", "1");
}

/**
 * Row 22: has the proxy open a connection and close it; the peer does not end it. When the proxy's socket is gone, a process opens a connection from
 * the same port. `guess`: the peer knows the sequence number that it would have to guess.
 */
async function inherits(
  world: World,
  family: Family,
  options: { guess?: boolean } = {},
): Promise<{ stolen: boolean; detail: unknown }> {
  const { a, outside } = world;
  const port = 7600;
  const server = await outside.serve<{ peer: [string, number] }>("tcp_server", { port, kind: "forget" });
  const before = {
    to: addresses.outside[family],
    port,
    send: "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    limit: 1,
    timeout: 0.4,
  };
  await a.namespace.call("tcp", before, TENANT);
  const entry = (await server.log()).find(({ peer }) => peer);
  assert.ok(entry, "the proxy connected");
  await new Promise((resolve) => setTimeout(resolve, 300));
  const args = { to: addresses.outside[family], port, bind: addresses.a[family], bind_port: entry.peer[1] };
  if (!options.guess) {
    const detail = await a.namespace.call("inherit", args, TENANT);
    const peers = (await server.log()).length;
    await server[Symbol.asyncDispose]();
    return { stolen: detail.connected === true && peers > 1, detail };
  }
  await server[Symbol.asyncDispose]();
  const secret = `${world.folder}/sequence-${crypto.randomUUID()}`;
  await Deno.writeTextFile(secret, "");
  const forge = {
    to: addresses.a[family],
    port: entry.peer[1],
    sport: port,
    secret,
    source: addresses.outside[family],
  };
  const [detail, peer] = await Promise.all([
    a.namespace.call("inherit", { ...args, reveal: secret, timeout: 2 }, {
      uid: 0,
      caps: ["NET_ADMIN", "DAC_OVERRIDE"],
    }),
    outside.call("forge_syn_ack", forge),
  ]);
  return { stolen: peer.data?.includes("stolen") === true || detail.connected === true, detail: { detail, peer } };
}

/** Registers the rows that need a proxy which is down or gone, each with the control that shows what its rule is for. */
export function proxyDown(backend: Backend): void {
  const only = { ignore: missing !== undefined };

  Deno.test({ ...only, name: `nobody takes the proxy's place (${backend})` }, async (t) => {
    await using world = await World.create(backend);
    const { a } = world;

    await t.step("row 16: while the proxy lives its ports are taken", async () => {
      for (const port of [ports.outbound, ports.inbound, ports.health]) {
        const args = { port, host: "127.0.0.1" };
        await assert.rejects(async () => await a.namespace.serve("tcp_server", args, TENANT), /EADDRINUSE/);
      }
    });
    await t.step("row 23: no socket of a hot restart", async () => {
      const names: string[] = await a.namespace.call("abstract_sockets", {});
      assert.deepEqual(names.filter((name) => name.includes("envoy")), []);
    });
    await t.step("control of row 23: without the flag there are such sockets", async () => {
      await world.b.stopProxy();
      await world.b.startProxy({ args: (args) => args.filter((arg) => arg !== "--disable-hot-restart") });
      const names: string[] = await world.b.namespace.call("abstract_sockets", {});
      assert.ok(names.some((name) => name.includes("envoy")), names.join(" "));
    });

    await a.stopProxy();
    for (const family of FAMILIES) {
      const version = `IPv${family === 0 ? 4 : 6}`;
      await t.step(`row 20, ${version}: refused at once, both directions`, async () => {
        await using _ = await a.namespace.serve("tcp_server", { port: 7700 }, TENANT);
        const out = await a.namespace.call("tcp", { to: addresses.outside[family], port: 7700 }, TENANT);
        const into = await world.outside.call("tcp", { to: addresses.a[family], port: 7700 });
        assert.deepEqual([out.error, into.error], ["ECONNREFUSED", "ECONNREFUSED"]);
        assert.ok(Math.max(out.ms, into.ms) < 200);
      });
      const attempts: Record<string, () => Promise<boolean>> = {
        "row 16: a process on the inbound port": () => squats(world, family, [ports.inbound, 7710], 7710),
        "row 16: called directly": () => squats(world, family, [ports.inbound], ports.inbound),
        "row 16: a process on the health port": () => squats(world, family, [ports.health], ports.health),
        "row 16: a process on the outbound port": () => robs(world, family),
        "row 17: simultaneous open from the health port": () => crosses(world, family, ports.health),
        "row 17: the same, bound to eth0": () => crosses(world, family, ports.health, "eth0"),
        "row 17: from the inbound port": () => crosses(world, family, ports.inbound, "eth0"),
        "row 17: from the outbound port": () => crosses(world, family, ports.outbound, "eth0"),
      };
      for (const [name, attempt] of Object.entries(attempts)) {
        await t.step(`${name}, ${version}`, async () => assert.equal(await attempt(), false));
      }
      await t.step(`row 16: a process on the inbound port, under SYN cookies, ${version}`, async () => {
        await a.namespace.sysctl("net/ipv4/tcp_syncookies", "2");
        assert.equal(await squats(world, family, [ports.inbound, 7711], 7711), false);
        await a.namespace.sysctl("net/ipv4/tcp_syncookies", "1");
      });
    }
    await a.protect({ edit: WITHOUT.guard });
    for (const family of FAMILIES) {
      const version = `IPv${family === 0 ? 4 : 6}`;
      const attempts: Record<string, () => Promise<boolean>> = {
        "the inbound port": () => squats(world, family, [ports.inbound, 7720], 7720),
        "the health port": () => squats(world, family, [ports.health], ports.health),
        "the outbound port": () => robs(world, family),
        "simultaneous open from the health port, bound to eth0": () => crosses(world, family, ports.health, "eth0"),
      };
      for (const [name, attempt] of Object.entries(attempts)) {
        await t.step(
          `control of rows 16 and 17, without the guard: ${name}, ${version}`,
          async () => assert.equal(await attempt(), true),
        );
      }
    }
  });

  Deno.test({ ...only, name: `row 22: a connection of the proxy is not inherited (${backend})` }, async (t) => {
    await using world = await World.create(backend);
    await confederate(world);
    for (const family of FAMILIES) {
      const version = `IPv${family === 0 ? 4 : 6}`;
      await t.step(`by its port, ${version}`, async () => {
        const { stolen, detail } = await inherits(world, family);
        assert.equal(stolen, false, JSON.stringify(detail));
      });
      await t.step(`by its port, with a peer that guesses the sequence number, ${version}`, async () => {
        const { stolen, detail } = await inherits(world, family, { guess: true });
        assert.equal(stolen, false, JSON.stringify(detail));
      });
    }
    await world.a.protect({ edit: WITHOUT["end of the mark"] });
    await t.step("control: without the end of the mark a peer that guesses gets through", async () => {
      const { stolen, detail } = await inherits(world, 0, { guess: true });
      assert.equal(stolen, true, JSON.stringify(detail));
    });
    await world.a.protect({ edit: WITHOUT["drop of what was ended"] });
    await t.step("control: without the drop of what was ended such a peer's answer reaches the process", async () => {
      const { stolen, detail } = await inherits(world, 0, { guess: true });
      assert.equal(stolen, true, JSON.stringify(detail));
    });
    await world.a.protect({ edit: WITHOUT["! --syn"] });
    await t.step("control: without ! --syn it is inherited", async () => {
      const { stolen, detail } = await inherits(world, 0);
      assert.equal(stolen, true, JSON.stringify(detail));
    });
  });

  Deno.test({ ...only, name: `each rule is needed (${backend})` }, async (t) => {
    await using world = await World.create(backend);
    const { a, b, outside, node } = world;
    const control = async (rule: keyof typeof WITHOUT, name: string, holds: () => Promise<boolean>) => {
      await t.step(`${rule}: ${name}`, async () => {
        assert.equal(await holds(), true, "with the rule");
        await Promise.all([a.protect({ edit: WITHOUT[rule] }), b.protect({ edit: WITHOUT[rule] })]);
        assert.equal(await holds(), false, "without it");
        await Promise.all([a.protect(), b.protect()]);
      });
    };

    await control("loopback destinations stay", "a socket bound to eth0", async () => {
      const act = () =>
        a.namespace.call("tcp", { to: addresses.outside[0], port: 7800, device: "eth0", timeout: 0.5 }, TENANT);
      const { frames } = await a.watch(act);
      return !frames.some(({ from, dst }) => from === "pod" && dst?.startsWith("127."));
    });
    await control("mark", "a slow client outside gets all that was queued", async () => {
      await using _ = await b.namespace.serve("tcp_server", { port: 7801, kind: "http", size: 2_000_000 }, TENANT);
      const send = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
      const { end } = await outside.call("tcp", { to: b.v4, port: 7801, send, slow: 0.002, timeout: 2 });
      return end === "eof";
    });
    await control("early end", "a client that sends and ends at once gets its answer", async () => {
      await using _ = await outside.serve("tcp_server", { port: 7802, kind: "sink" });
      const args = { to: addresses.outside[0], port: 7802, send: "\x01hello", shutdown: true, at_once: true };
      return (await a.namespace.call("tcp", args, TENANT)).data === "6\n";
    });
    await control("socket match", "a tcpSocket probe of a closed port fails", async () => {
      return (await node.call("tcp", { to: a.v4, port: 7803, limit: 0 })).error === "ECONNREFUSED";
    });
    // On another address of the pod: there the redirect changes something, so that filter would take it for a redirected one.
    await a.namespace.ip("address add 10.77.0.22/24 dev eth0");
    await control("direct hits from outside", "a call of the inbound port", async () => {
      const act = () =>
        outside.call("tcp", { to: "10.77.0.22", port: ports.inbound, send: "GET / HTTP/1.1\r\n\r\n", timeout: 0.6 });
      const { result, records } = await a.watch(act, { settle: 200 });
      return !result.connected && records.length === 0;
    });
    await control("direct hits from the pod", "a call of the outbound port", async () => {
      return !(await a.namespace.call("tcp", { to: "127.0.0.1", port: ports.outbound, limit: 0, timeout: 0.5 }, TENANT))
        .connected;
    });
    await t.step("connections of the proxy carry the mark", async () => {
      await using _ = await outside.serve("tcp_server", { port: 7804 });
      const open = a.namespace.call(
        "tcp",
        { to: addresses.outside[0], port: 7804, send: "\x01binary", limit: 1, hold: 0.5 },
        TENANT,
      );
      await new Promise((resolve) => setTimeout(resolve, 250));
      const list = await must(a.namespace.enter(["conntrack", "-L", "-p", "tcp", "--dport", "7804"]));
      await open;
      assert.equal(list.split("\n").filter((line) => line.includes(`mark=${Number(CONNTRACK_MARK)} `)).length, 1, list);
    });
  });
}
