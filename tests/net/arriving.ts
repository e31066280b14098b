import assert from "node:assert/strict";
import { background, certificate, listening } from "./background.ts";
import { addresses, type Backend, forbidden, TENANT, World } from "./pods.ts";
import { missing, run } from "./tools.ts";

const SIZE = 2_000_000;

/** Registers the tests of honest traffic that comes into a pod: as without a proxy, and one record for each request or connection. */
export function arrivingTraffic(backend: Backend): void {
  Deno.test(
    { name: `honest traffic into a pod passes unchanged and is recorded (${backend})`, ignore: missing !== undefined },
    async (t) => {
      await using world = await World.create(backend);
      const { a, outside, node } = world;
      await using _http = await a.namespace.serve("tcp_server", { port: 8080, kind: "http" }, TENANT);

      for (const family of [0, 1] as const) {
        const version = `IPv${family === 0 ? 4 : 6}`;
        const to = addresses.a[family];
        const written = family === 0 ? to : `[${to}]`;

        await t.step(`50 HTTP/1.1 requests on one kept-alive connection, ${version}`, async () => {
          const args = { to, port: 8080, count: 50, path: "/p/%d?secret=1", host: "app.example" };
          const { result, records, frames } = await a.watch(() => outside.call("http_requests", args), {
            expected: 50,
          });
          assert.deepEqual(result.map(([status]: number[]) => status), Array(50).fill(200));
          const told = records.map(({ type, direction, destination, host, path, status }) =>
            [type, direction, destination, host, path, status].join(" ")
          );
          const expected = (i: number) => `DownstreamEnd inbound ${written}:8080 app.example /p/${i} 200`;
          assert.deepEqual(told, Array.from({ length: 50 }, (_, i) => expected(i)));
          assert.deepEqual(forbidden(frames), []);
        });

        await t.step(`WebSocket, ${version}`, async () => {
          const { result, records } = await a.watch(
            () => outside.call("websocket", { to, port: 8080, message: "ping over the wall" }),
            { expected: 1 },
          );
          assert.equal(result.echo, "ping over the wall");
          assert.deepEqual(records.map(({ type, status }) => [type, status]), [
            ["DownstreamTunnelSuccessfullyEstablished", 101],
            ["DownstreamEnd", 101],
          ]);
        });

        await t.step(`HTTPS, its server name recorded, ${version}`, async () => {
          const server = { port: 8443, kind: "http", certificate: await certificate(world.folder) };
          await using _ = await a.namespace.serve("tcp_server", server, TENANT);
          const args = { to, port: 8443, server_name: "app.pharma.example" };
          const { result, ends } = await a.watch(() => outside.call("https_get", args), { expected: 1 });
          assert.match(result.status, /200 OK/);
          const told = ends.map(({ direction, chain, sni, path }) => [direction, chain, sni, path]);
          assert.deepEqual(told, [["inbound", "tls", "app.pharma.example", undefined]]);
        });

        await t.step(`a server that speaks first, at once on the usual ports, ${version}`, async () => {
          await using _ = await a.namespace.serve("tcp_server", { port: 25, kind: "banner", banner: "220 ready\n" });
          const { result, ends } = await a.watch(() => outside.call("tcp", { to, port: 25, limit: 10 }), {
            expected: 1,
          });
          assert.equal(result.data, "220 ready\n");
          assert.ok(result.ms < 100, `banner after ${result.ms} ms`);
          assert.deepEqual(ends.map(({ chain, bytes_down }) => [chain, bytes_down]), [["tcp", 10]]);
        });

        await t.step(`2 MB both ways, TCP, ${version}`, async () => {
          await using _source = await a.namespace.serve(
            "tcp_server",
            { port: 7001, kind: "source", size: SIZE },
            TENANT,
          );
          await using _sink = await a.namespace.serve("tcp_server", { port: 7002, kind: "sink" }, TENANT);
          const { result, ends } = await a.watch(async () => [
            await outside.call("tcp", { to, port: 7001, timeout: 10 }),
            await outside.call("tcp", { to, port: 7002, size: SIZE, shutdown: true, timeout: 10 }),
          ], { expected: 2 });
          assert.deepEqual([result[0].size, result[1].data], [SIZE, `${SIZE}\n`]);
          assert.deepEqual([ends[0]!.bytes_down, ends[1]!.bytes_up], [SIZE, SIZE]);
        });
      }

      await t.step("HTTP/2 in clear, as gRPC probes of the kubelet come", async () => {
        const folder = await Deno.makeTempDir({ dir: world.folder });
        await Deno.writeTextFile(`${folder}/index.html`, "hello");
        await using _ = background(a.namespace.enter(["nghttpd", "--no-tls", "-d", folder, "8082"]));
        await listening(a.namespace, "127.0.0.1", 8082);
        const client = ["nghttp", "--null-out", "--stat", "--multiply=5", `http://${a.v4}:8082/index.html?n=1`];
        const { result, ends } = await a.watch(() => run(node.enter(client)), { expected: 5 });
        assert.equal(result.out.match(/ 200 .*index/g)?.length, 5, result.out + result.err);
        const told = ends.map(({ direction, protocol, path, status }) => [direction, protocol, path, status]);
        assert.deepEqual(told, Array(5).fill(["inbound", "HTTP/2", "/index.html", 200]));
      });

      await t.step("a port that is open to the pod alone stays so", async () => {
        await using _ = await a.namespace.serve("tcp_server", { port: 7010, host: "127.0.0.1", kind: "echo" }, TENANT);
        const within = { to: "127.0.0.1", port: 7010, send: "x", limit: 1 };
        const { result, records } = await a.watch(async () => [
          await outside.call("tcp", { ...within, to: a.v4 }),
          await a.namespace.call("tcp", within, { uid: 10_002 }),
        ]);
        assert.deepEqual([result[0].error, result[1].data], ["ECONNREFUSED", "x"]);
        assert.deepEqual(records, []);
      });
    },
  );
}
