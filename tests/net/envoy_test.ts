import assert from "node:assert/strict";
import { proxyArgs, renderEnvoyConfig } from "../../lib/core/envoy_config.ts";
import { envoyFiles, ports } from "../../lib/core/names.ts";
import { until } from "../cluster/processes.ts";
import { addresses, TENANT, World } from "./pods.ts";
import { missing, prepare, run } from "./tools.ts";

const only = { ignore: missing !== undefined };

/** The bootstrap with listeners and clusters in it: `--mode validate` does not read the files that it names. */
function inlined(files: Record<string, string>): string {
  const resources = (name: string) =>
    JSON.parse(files[name]!).resources.map(({ "@type": _, ...fields }: Record<string, unknown>) => fields);
  const fixed = JSON.stringify({
    listeners: resources(envoyFiles.listeners),
    clusters: resources(envoyFiles.clusters),
  });
  const text = files[envoyFiles.bootstrap]!.replace(
    /^dynamic_resources:\n( {2}.*\n)+/m,
    `static_resources: ${fixed}\n`,
  );
  assert.notEqual(text, files[envoyFiles.bootstrap], "the bootstrap has dynamic resources");
  return text;
}

async function validate(text: string): Promise<{ code: number; err: string }> {
  const { envoy } = await prepare();
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(file, text);
    return await run([envoy, "--mode", "validate", "-c", file, ...proxyArgs]);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test({ ...only, name: "Envoy validates all that the renderer makes, without a warning" }, async (t) => {
  const text = inlined(renderEnvoyConfig());
  await t.step("as rendered", async () => {
    const { code, err } = await validate(text);
    assert.equal(code, 0, err);
    assert.doesNotMatch(err, /deprecated|work-in-progress|warning|error/i);
  });
  await t.step("control: a misspelt field is refused", async () => {
    assert.notEqual((await validate(text.replace('"idle_timeout"', '"idle_time"'))).code, 0);
  });
  await t.step("control: an unknown command operator is refused", async () => {
    assert.notEqual((await validate(text.replace("%PROTOCOL%", "%TRAFFIC_DIRECTION%"))).code, 0);
  });
});

Deno.test({ ...only, name: "the proxy follows its configuration" }, async (t) => {
  await using world = await World.create("nft");
  const { a } = world;

  await t.step("listens on its four ports and no other, the outbound one on loopback alone", async () => {
    const { out } = await run(a.namespace.enter(["ss", "-Htlnu"]));
    const found = out.trim().split("\n").map((line) => line.split(/\s+/)[4]).sort();
    const expected = [
      `127.0.0.1:${ports.outbound}`,
      `[::1]:${ports.outbound}`,
      ...[ports.inbound, ports.health, ports.stats].flatMap((port) => [`0.0.0.0:${port}`, `[::]:${port}`]),
    ];
    assert.deepEqual(found, expected.sort());
  });

  await t.step("its admin socket is for its own user alone", async () => {
    const socket = `/proc/${a.envoy!.pid}/root/run/data-space/admin.sock`;
    assert.equal((await run(["stat", "--format=%a %u", socket])).out, "600 21337\n");
    const curl = async (path: string) => {
      const code = `
import socket
s = socket.socket(socket.AF_UNIX); s.connect("${socket}")
s.sendall(b"GET ${path} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"); print(s.recv(100).split(b"\\r\\n")[0].decode())`;
      return (await run(["/usr/bin/python3", "-c", code])).out.trim();
    };
    assert.match(await curl("/ready"), / 200 /);
    for (const path of ["/config_dump", "/quitquitquit", "/stats", "/clusters", "/drain_listeners", "/runtime"]) {
      assert.match(await curl(path), / 403 /, path);
    }
  });

  await t.step(
    "more connections than its limit are closed at once; its health is still told, and there is room again",
    async () => {
      const { b } = world;
      await using _ = await world.outside.serve("tcp_server", { port: 8101, kind: "echo" });
      const config = `${world.folder}/limited`;
      await Deno.mkdir(config);
      for (const name of Object.values(envoyFiles)) {
        const text = await Deno.readTextFile(`${b.config}/${name}`);
        const limited = text.replace(
          "max_active_downstream_connections: 4096",
          "max_active_downstream_connections: 10",
        );
        assert.equal(limited !== text, name === envoyFiles.bootstrap);
        await Deno.writeTextFile(`${config}/${name}`, limited);
      }
      await b.stopProxy();
      await b.startProxy({ config });
      const talk = (more: Record<string, unknown>) =>
        b.namespace.call("tcp", { to: addresses.outside[0], port: 8101, send: "\x01a", limit: 2, ...more }, TENANT);
      const health = async () => {
        const request = { to: b.v4, port: ports.health, count: 1, path: "/healthz/ready" };
        return (await world.node.call("http_requests", request))[0][0];
      };
      const open = Promise.all(Array.from({ length: 20 }, () => talk({ hold: 1.5 })));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      assert.equal(await health(), 200);
      const answered = (await open).filter(({ data }) => data === "\x01a").length;
      assert.equal(answered, 10, "connections that pass");
      assert.equal((await talk({})).data, "\x01a");
    },
  );

  await t.step(
    "a new configuration in the mounted folder reaches it",
    async () => {
      await using _ = await world.outside.serve("tcp_server", { port: 8100, kind: "http" });
      const get = async () =>
        (await a.namespace.call("http_requests", { to: addresses.outside[0], port: 8100, count: 1 }, TENANT))[0][0];
      assert.equal(await get(), 200);
      // As the kubelet does: a new folder behind a link that is renamed.
      const files = await Promise.all(
        Object.values(envoyFiles).map(async (name) => [name, await Deno.readTextFile(`${a.config}/${name}`)] as const),
      );
      const changed = Object.fromEntries(files);
      const lds = JSON.parse(changed[envoyFiles.listeners]!);
      for (const listener of lds.resources) {
        const manager = listener.filter_chains[0].filters[0].typed_config;
        if (listener.name === "outbound") {
          manager.route_config.virtual_hosts[0].routes[0] = {
            match: { prefix: "/" },
            direct_response: { status: 418 },
          };
        }
      }
      await Deno.writeTextFile(`${a.config}/next.json`, JSON.stringify({ ...lds, version_info: "changed" }));
      await Deno.rename(`${a.config}/next.json`, `${a.config}/${envoyFiles.listeners}`);
      const start = performance.now();
      await until(async () => await get() === 418 ? true : undefined, {
        ms: 5_000,
        what: "new configuration in force",
        every: 20,
      });
      assert.ok(performance.now() - start < 3_000);
    },
  );

  await t.step(
    "its health says no while a capture listener is missing",
    async (t) => {
      const { b } = world;
      const health = async () => {
        const request = { to: b.v4, port: ports.health, count: 1, path: "/healthz/ready" };
        return (await world.node.call("http_requests", request))[0][0];
      };
      const restart = async (config: string) => {
        await b.stopProxy();
        await b.startProxy({ config });
      };
      await restart(b.config);
      assert.equal(await health(), 200);
      for (
        const [name, at] of [
          ["outbound", { port: ports.outbound, host: "127.0.0.1" }],
          ["outbound, IPv6", { port: ports.outbound, host: "::1" }],
          ["inbound", { port: ports.inbound, host: b.v4 }],
          ["inbound, IPv6", { port: ports.inbound, host: b.v6 }],
        ] as const
      ) {
        await t.step(`${name}: a process of the pod has taken its port`, async () => {
          await b.stopProxy();
          await using _ = await b.namespace.serve("tcp_server", { ...at, kind: "echo" }, TENANT);
          await b.startProxy();
          assert.equal(await health(), 503);
          assert.ok(b.envoy!.noise.some((line) => line.includes("Address already in use")), b.envoy!.noise.join("\n"));
        });
      }
      for (const name of ["outbound", "inbound"]) {
        await t.step(`${name}: Envoy refuses it`, async () => {
          const config = `${world.folder}/without-${name}`;
          await Deno.mkdir(config);
          for (const [file, text] of Object.entries(renderEnvoyConfig())) {
            const changed = file === envoyFiles.listeners ? JSON.parse(text) : undefined;
            for (const listener of changed?.resources ?? []) {
              // Two chains with the same match.
              if (listener.name === name) listener.filter_chains.push(listener.filter_chains[0]);
            }
            await Deno.writeTextFile(`${config}/${file}`, changed ? JSON.stringify(changed) : text);
          }
          await restart(config);
          assert.equal(await health(), 503);
          assert.ok(b.envoy!.noise.some((line) => line.includes(name)), b.envoy!.noise.join("\n"));
        });
      }
      await restart(b.config);
      assert.equal(await health(), 200);
    },
  );

  await t.step("a refused configuration leaves the last good one in force", async () => {
    await Deno.writeTextFile(`${a.config}/next.json`, '{"version_info": "bad", "resources": [{"nonsense": true}]}');
    await Deno.rename(`${a.config}/next.json`, `${a.config}/${envoyFiles.listeners}`);
    await until(() => Promise.resolve(a.envoy!.noise.some((line) => /rejected|update/.test(line)) ? true : undefined), {
      ms: 5_000,
      what: "refusal in its log",
    });
    const answer = await a.namespace.call("http_requests", { to: addresses.outside[0], port: 8100, count: 1 }, TENANT);
    assert.equal(answer[0][0], 418);
    const health = { to: a.v4, port: ports.health, count: 1, path: "/healthz/ready" };
    assert.equal((await world.node.call("http_requests", health))[0][0], 200);
  });

  await t.step("without its files it does not start, and the pod stays closed", async () => {
    await a.stopProxy();
    await Deno.remove(`${a.config}/${envoyFiles.listeners}`);
    await assert.rejects(() => a.startProxy(), /Cannot start Envoy/);
    const { error } = await a.namespace.call("tcp", { to: addresses.outside[0], port: 8100, timeout: 1 }, TENANT);
    assert.equal(error, "ECONNREFUSED");
  });
});
