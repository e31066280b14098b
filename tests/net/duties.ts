import assert from "node:assert/strict";
import { envoyFiles, ports } from "../../lib/core/names.ts";
import { addresses, type Backend, TENANT, World } from "./pods.ts";
import { missing } from "./tools.ts";

const [OUTSIDE] = addresses.outside;

/** Registers the tests of what the proxy does beside passing bytes on: probes, its own ports, hostile input, its own end. */
export function proxyDuties(backend: Backend): void {
  Deno.test(
    { name: `the proxy keeps its duties (${backend})`, ignore: missing !== undefined },
    async (t) => {
      await using world = await World.create(backend);
      const { a, b, outside, node } = world;
      const { namespace: pod } = a;
      await using http = await outside.serve("tcp_server", { port: 8080, kind: "http" });

      await t.step("probes of the kubelet", async (t) => {
        await using _ = await a.namespace.serve("tcp_server", { port: 8080, kind: "http" }, TENANT);
        await using _other = await a.namespace.serve("tcp_server", { port: 8085, kind: "http" }, TENANT);
        const cases = [
          ["a successful GET of a probe from the node is not recorded", node, "GET", "/healthz", 0],
          ["nor with its query", node, "GET", "/ready?full=1", 0],
          ["another query is", node, "GET", "/ready?full=2", 1],
          ["another path is", node, "GET", "/healthz/x", 1],
          ["another method is", node, "POST", "/healthz", 1],
          ["the same from elsewhere is", outside, "GET", "/healthz", 1],
          ["the same from another pod is", b.namespace, "GET", "/healthz", 1],
          ["the same on another port is", node, "GET", "/healthz", 1, 8085],
          ["the same as the end of a longer path is", node, "GET", "/x/8080/healthz", 1],
          ["a failed one is", node, "GET", "/fail", 1],
        ] as const;
        for (const [name, from, method, path, count, port = 8080] of cases) {
          await t.step(name, async () => {
            for (const to of [a.v4, a.v6]) {
              const { result, ends } = await a.watch(
                () => from.call("http_requests", { to, port, count: 1, path, method }),
                { expected: count, settle: 150 },
              );
              assert.equal(result[0][0], path === "/fail" ? 503 : 200);
              assert.equal(ends.length, count);
            }
          });
        }
        await t.step("tcpSocket fails while the port is closed, and succeeds when it is open", async () => {
          for (const to of [a.v4, a.v6]) {
            const closed = await node.call("tcp", { to, port: 8090, limit: 0 });
            assert.equal(closed.error, "ECONNREFUSED");
            assert.ok(closed.ms < 200);
          }
          await using _ = await a.namespace.serve("tcp_server", { port: 8090 }, TENANT);
          for (const to of [a.v4, a.v6]) {
            assert.equal((await node.call("tcp", { to, port: 8090, limit: 0 })).connected, true);
          }
        });
        await t.step("tcpSocket of a port that is open on 127.0.0.1 alone fails as without a proxy", async () => {
          await using _ = await a.namespace.serve("tcp_server", { port: 8091, host: "127.0.0.1" }, TENANT);
          assert.equal((await node.call("tcp", { to: a.v4, port: 8091, limit: 0 })).error, "ECONNREFUSED");
        });
      });

      await t.step("own ports: health and metrics answer one path each, by GET", async () => {
        const get = async (from: typeof node, port: number, method: string, path: string) =>
          (await from.call("http_requests", { to: a.v4, port, count: 1, method, path }))[0][0];
        assert.equal(await get(node, ports.health, "GET", "/healthz/ready"), 200);
        assert.equal(await get(outside, ports.stats, "GET", "/stats/prometheus"), 200);
        for (const port of [ports.health, ports.stats]) {
          for (
            const path of [
              "/",
              "/ready",
              "/stats",
              "/quitquitquit",
              "/config_dump",
              "/drain_listeners",
              "/healthz/ready/../../quitquitquit",
            ]
          ) {
            assert.equal(await get(node, port, "GET", path), 404, `${port}${path}`);
          }
        }
        assert.equal(await get(node, ports.health, "POST", "/healthz/ready"), 404);
        assert.equal(await get(node, ports.stats, "POST", "/stats/prometheus"), 404);
      });

      await t.step("neither Host, nor an absolute URI, nor a header decides where bytes go", async (t) => {
        const requests: Record<string, [string, number]> = {
          "foreign Host": ["GET / HTTP/1.1\r\nHost: 10.78.0.53\r\nConnection: close\r\n\r\n", 200],
          "absolute URI": [
            "GET http://10.78.0.53:8080/ HTTP/1.1\r\nHost: 10.78.0.53\r\nConnection: close\r\n\r\n",
            200,
          ],
          "x-envoy-original-dst-host": [
            "GET / HTTP/1.1\r\nHost: x\r\nx-envoy-original-dst-host: 10.78.0.53:8080\r\nConnection: close\r\n\r\n",
            200,
          ],
          "CONNECT": ["CONNECT 10.78.0.53:8080 HTTP/1.1\r\nHost: 10.78.0.53:8080\r\nConnection: close\r\n\r\n", 404],
        };
        for (const [name, [send, status]] of Object.entries(requests)) {
          await t.step(name, async () => {
            const before = (await http.log()).length;
            const seen = await a.watch(() => pod.call("tcp", { to: OUTSIDE, port: 8080, send }, TENANT), {
              expected: 1,
            });
            // Inbound ones may still come from the probes of the step before.
            const ends = seen.ends.filter(({ direction }) => direction === "outbound");
            assert.match(seen.result.data, new RegExp(`^HTTP/1.1 ${status} `));
            assert.deepEqual(ends.map(({ destination, status }) => [destination, status]), [[
              `${OUTSIDE}:8080`,
              status,
            ]]);
            assert.equal((await http.log(before)).some((entry) => "request" in entry), status === 200);
          });
        }
      });

      await t.step("HTTP that is rare but honest", async (t) => {
        const cases: Record<string, [string, string]> = {
          "HTTP/1.0 without Host": ["GET /x HTTP/1.0\r\n", "GET /x HTTP/1.1"],
          "an offer of h2c": [
            "GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            "GET /x HTTP/1.1",
          ],
          "an offer of TLS": [
            "GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: TLS/1.3\r\n",
            "GET /x HTTP/1.1",
          ],
          "a method of WebDAV": ["PROPFIND /x HTTP/1.1\r\nHost: x\r\n", "PROPFIND /x HTTP/1.1"],
          "Expect: 100-continue": ["GET /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n", "GET /x HTTP/1.1"],
          "an escaped slash": ["GET /a%2Fb HTTP/1.1\r\nHost: x\r\n", "GET /a%2Fb HTTP/1.1"],
          "dots and double slashes, resolved": ["GET /a//b/../c HTTP/1.1\r\nHost: x\r\n", "GET /a/c HTTP/1.1"],
        };
        for (const [name, [head, asked]] of Object.entries(cases)) {
          await t.step(name, async () => {
            const before = (await http.log()).length;
            const act = () => pod.call("tcp", { to: OUTSIDE, port: 8080, send: `${head}\r\n`, limit: 15 }, TENANT);
            const { result, ends } = await a.watch(act, { expected: 1 });
            assert.match(result.data, /^HTTP\/1\.[01] 200 /);
            assert.equal((await http.log(before)).find((entry) => "request" in entry)?.request, asked);
            assert.deepEqual(ends.map(({ path }) => path), [asked.split(" ")[1]]);
          });
        }
      });

      await t.step("hostile bytes give one JSON line each", async () => {
        const long = "a".repeat(5_000);
        const lines = [
          `GET /${long} HTTP/1.1\r\nHost: ${long}\r\nConnection: close\r\n\r\n`,
          'GET /"\\\u0007<script> HTTP/1.1\r\nHost: x"}\r\nConnection: close\r\n\r\n',
          "BREW /pot HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        ];
        const { ends } = await a.watch(async () => {
          for (const send of lines) await pod.call("tcp", { to: OUTSIDE, port: 8080, send }, TENANT);
        }, { expected: lines.length });
        assert.equal(ends.length, lines.length);
        assert.ok(JSON.stringify(ends[0]).length < 2_000, "long strings are cut");
      });

      await t.step("a connection that says nothing is recorded once", async () => {
        const { ends } = await a.watch(
          () => pod.call("tcp", { to: OUTSIDE, port: 8080, limit: 0, linger: 0 }, TENANT),
          { expected: 1 },
        );
        assert.deepEqual(ends.map(({ type, chain, destination }) => [type, chain, destination]), [[
          "NotSet",
          undefined,
          `${OUTSIDE}:8080`,
        ]]);
      });

      await t.step("the proxy is killed: refused at once, both directions; then it works again", async () => {
        await a.stopProxy();
        const out = await pod.call("tcp", { to: OUTSIDE, port: 8080, limit: 0 }, TENANT);
        await using _ = await a.namespace.serve("tcp_server", { port: 8084 }, TENANT);
        const into = await outside.call("tcp", { to: a.v4, port: 8084, limit: 0 });
        assert.deepEqual([out.error, into.error], ["ECONNREFUSED", "ECONNREFUSED"]);
        assert.ok(out.ms < 200 && into.ms < 200, `${out.ms} and ${into.ms} ms`);
        const ms = await a.startProxy();
        assert.ok(ms < 1_500, `listening after ${ms} ms`);
        const again = await pod.call("http_requests", { to: OUTSIDE, port: 8080, count: 1 }, TENANT);
        assert.equal(again[0][0], 200);
      });

      await t.step("connections that are idle for an hour go on, TCP and HTTP (times divided by 3600)", async () => {
        await using _ = await outside.serve("tcp_server", { port: 7005, kind: "echo" });
        await a.stopProxy();
        const config = `${world.folder}/hurried`;
        await Deno.mkdir(config);
        for (const name of Object.values(envoyFiles)) {
          const text = await Deno.readTextFile(`${a.config}/${name}`);
          const hurried = text.replace(/"(\d{4,})s"/g, (_, s) => `"${Number(s) / 3_600}s"`)
            .replace(/"access_log_flush_interval":"\d+s"/g, '"access_log_flush_interval":"0.5s"');
          assert.equal(hurried === text, name !== envoyFiles.listeners, "the times stand with the listeners");
          await Deno.writeTextFile(`${config}/${name}`, hurried);
        }
        await a.startProxy({ config });
        const { result, ends } = await a.watch(() =>
          Promise.all([
            pod.call("tcp", { to: OUTSIDE, port: 7005, send: "\x01a", pause: 1.1, limit: 2 }, TENANT),
            pod.call("idle_http", { to: OUTSIDE, port: 8080, seconds: 1.1 }, TENANT),
          ]), { expected: 3 });
        assert.equal(result[0].data, "\x01a");
        assert.deepEqual(result[1], [200, 200]);
        assert.equal(ends.length, 3);
        await a.stopProxy();
        await a.startProxy();
      });

      await t.step("on SIGTERM the proxy ends by itself and records what it cuts", async () => {
        await using _ = await outside.serve("tcp_server", { port: 7004, kind: "echo" });
        const open = pod.call("tcp", { to: OUTSIDE, port: 7004, send: "\x01binary", limit: 20, timeout: 8 }, TENANT);
        const { ends } = await a.watch(async () => {
          await new Promise((resolve) => setTimeout(resolve, 400));
          const { envoy } = a;
          a.envoy = undefined;
          const start = performance.now();
          const status = await envoy!.end("SIGTERM");
          const ms = performance.now() - start;
          a.envoy = envoy;
          assert.equal(status.code, 0);
          assert.ok(ms < 2_000, `ended after ${ms} ms`);
        });
        assert.equal((await open).end === "open", false);
        assert.deepEqual(ends.map(({ destination }) => destination), [`${OUTSIDE}:7004`]);
      });
    },
  );
}
