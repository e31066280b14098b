import assert from "node:assert/strict";
import { background, certificate, listening } from "./background.ts";
import type { AccessRecord } from "../support/access_record.ts";
import { addresses, type Backend, forbidden, TENANT, World } from "./pods.ts";
import { missing, must, run } from "./tools.ts";

const SIZE = 2_000_000;
const [OUTSIDE, OUTSIDE6] = addresses.outside;

/** Fields of a record that say who and where. */
function who(record: AccessRecord): Record<string, unknown> {
  const { direction, consumer, namespace, pod, destination } = record;
  return { direction, consumer, namespace, pod, destination };
}

/** Both directions of one request, as two pods record it. */
const OF_A = { direction: "outbound", consumer: "pharma", namespace: "trial-pharma", pod: "pod-a" };
const OF_B = { direction: "inbound", consumer: "pharma", namespace: "trial-pharma", pod: "pod-b" };

/** Registers the tests of honest traffic: it works unchanged, and N requests give exactly N records. */
export function honestTraffic(backend: Backend): void {
  Deno.test(
    { name: `honest traffic passes unchanged and is recorded (${backend})`, ignore: missing !== undefined },
    async (t) => {
      await using world = await World.create(backend);
      const { a, b, outside } = world;
      const { namespace: pod } = a;
      await using stack = new AsyncDisposableStack();
      const http = stack.use(await outside.serve("tcp_server", { port: 8080, kind: "http" }));
      const httpB = stack.use(await b.namespace.serve("tcp_server", { port: 8080, kind: "http" }, TENANT));

      for (const [version, to, written] of [["IPv4", OUTSIDE, OUTSIDE], ["IPv6", OUTSIDE6, `[${OUTSIDE6}]`]] as const) {
        await t.step(`50 HTTP/1.1 requests on one kept-alive connection, ${version}`, async () => {
          const before = (await http.log()).length;
          const act = () =>
            pod.call(
              "http_requests",
              { to, port: 8080, count: 50, path: "/p/%d?secret=1", host: "hospital.example" },
              TENANT,
            );
          const { result, ends, records, frames } = await a.watch(act, { expected: 50 });
          assert.equal(result.length, 50);
          assert.ok(result.every(([status]: number[]) => status === 200));
          assert.equal(ends.length, 50);
          assert.equal(records.length, 50, "no record of another type");
          for (const [i, record] of ends.entries()) {
            assert.deepEqual(who(record), { ...OF_A, destination: `${written}:8080` });
            const { type, chain, method, host, path, status, protocol, bytes_up } = record;
            assert.deepEqual({ type, chain, method, host, path, status, protocol, bytes_up }, {
              type: "DownstreamEnd",
              chain: "http",
              method: "GET",
              host: "hospital.example",
              path: `/p/${i}`,
              status: 200,
              protocol: "HTTP/1.1",
              bytes_up: 0,
            });
          }
          assert.deepEqual(forbidden(frames), []);
          const log = (await http.log(before)).filter((entry) => "request" in entry);
          assert.equal(log.length, 50);
          assert.equal(log[7]!.request, "GET /p/7?secret=1 HTTP/1.1", "the server gets the query, the record does not");
          assert.deepEqual(
            log[7]!.headers,
            ["Host: hospital.example", "Accept-Encoding: identity"],
            "no header added or changed",
          );
        });
      }

      await t.step(
        "16 connections of 10 requests each, pod to pod: exactly 160 records in each pod",
        async () => {
          const requests = () =>
            Promise.all(
              Array.from({ length: 16 }, () =>
                pod.call("http_requests", { to: b.v4, port: 8080, count: 10, path: "/%d" }, TENANT)),
            );
          // One watch within the other: both count from before the first request.
          const atB = await b.watch(() => a.watch(requests, { expected: 160 }), { expected: 160 });
          const { ends } = atB.result;
          assert.equal(ends.length, 160);
          assert.equal(atB.ends.length, 160);
          assert.deepEqual(who(ends[0]!), { ...OF_A, destination: `${b.v4}:8080` });
          assert.deepEqual(who(atB.ends[0]!), { ...OF_B, destination: `${b.v4}:8080` });
          assert.match(String(atB.ends[0]!.source), /^10\.77\.0\.2:/);
          const peers = (await httpB.log()).filter((entry) => "peer" in entry).map((entry) =>
            (entry.peer as string[])[0]
          );
          assert.deepEqual([...new Set(peers)], [b.v4], "the app sees its own pod's address");
        },
      );

      await t.step("HTTP/2 in clear, with prior knowledge", async () => {
        const text = await must(["mktemp", "-d"]);
        const folder = text.trim();
        stack.defer(() => Deno.remove(folder, { recursive: true }));
        await Deno.writeTextFile(`${folder}/index.html`, "hello");
        await using _ = await background(world.outside.enter(["nghttpd", "--no-tls", "-d", folder, "8082"]));
        await listening(outside, OUTSIDE, 8082);
        const client = ["nghttp", "--null-out", "--stat", "--multiply=5", `http://${OUTSIDE}:8082/index.html?n=1`];
        const { result, ends } = await a.watch(
          () => run(a.namespace.enter(["setpriv", "--reuid", "10001", "--clear-groups", ...client])),
          { expected: 5 },
        );
        assert.equal(result.out.match(/ 200 .*index/g)?.length, 5, result.out + result.err);
        assert.equal(ends.length, 5);
        assert.ok(
          ends.every(({ protocol, chain, path, status }) =>
            protocol === "HTTP/2" && chain === "http" && path === "/index.html" && status === 200
          ),
        );
      });

      await t.step("WebSocket: a record when it is established, one at its end", async () => {
        const { result, records, ends } = await a.watch(
          () => pod.call("websocket", { to: OUTSIDE, port: 8080, message: "ping over the wall" }, TENANT),
          { expected: 1 },
        );
        assert.equal(result.echo, "ping over the wall");
        assert.match(result.status, /101/);
        assert.equal(ends.length, 1);
        assert.equal(ends[0]!.status, 101);
        assert.deepEqual(records.map(({ type }) => type), ["DownstreamTunnelSuccessfullyEstablished", "DownstreamEnd"]);
      });

      await t.step("HTTPS is passed on with its server name recorded", async () => {
        await using _ = await outside.serve("tcp_server", {
          port: 8443,
          kind: "http",
          certificate: await certificate(world.folder),
        });
        const { result, ends } = await a.watch(
          () => pod.call("https_get", { to: OUTSIDE, port: 8443, server_name: "models.pharma.example" }, TENANT),
          { expected: 1 },
        );
        assert.match(result.status, /200 OK/);
        assert.equal(ends.length, 1);
        const { chain, sni, method, type } = ends[0]!;
        assert.deepEqual({ chain, sni, method, type }, {
          chain: "tls",
          sni: "models.pharma.example",
          method: undefined,
          type: "TcpConnectionEnd",
        });
      });

      await t.step("plain TCP: a record at its start, one at its end, bytes both ways", async () => {
        await using _ = await outside.serve("tcp_server", { port: 7000, kind: "echo" });
        const { result, records, ends } = await a.watch(
          () => pod.call("tcp", { to: OUTSIDE, port: 7000, send: "\x01binary", limit: 7 }, TENANT),
          { expected: 1 },
        );
        assert.equal(result.data, "\x01binary");
        assert.deepEqual(records.map(({ type }) => type), ["TcpUpstreamConnected", "TcpConnectionEnd"]);
        assert.deepEqual([ends[0]!.chain, ends[0]!.bytes_up, ends[0]!.bytes_down], ["tcp", 7, 7]);
      });

      await t.step(
        "a server that speaks first: at once on the usual ports, after the detection's timeout on others",
        async (t) => {
          for (const [port, most] of [[25, 100], [2525, 700]] as const) {
            await t.step(`port ${port}`, async () => {
              await using _ = await outside.serve("tcp_server", { port, kind: "banner", banner: "220 ready\n" });
              const { result, ends } = await a.watch(
                () => pod.call("tcp", { to: OUTSIDE, port, limit: 10 }, TENANT),
                { expected: 1 },
              );
              assert.equal(result.data, "220 ready\n");
              assert.ok(result.ms < most, `banner after ${result.ms} ms`);
              assert.equal(ends.length, 1);
            });
          }
        },
      );

      await t.step("2 MB both ways", async (t) => {
        await t.step("TCP, to the pod", async () => {
          await using _ = await outside.serve("tcp_server", { port: 7001, kind: "source", size: SIZE });
          const { result, ends } = await a.watch(
            () => pod.call("tcp", { to: OUTSIDE, port: 7001, timeout: 10 }, TENANT),
            { expected: 1 },
          );
          assert.deepEqual([result.size, result.end, ends[0]?.bytes_down], [SIZE, "eof", SIZE]);
        });
        await t.step("TCP, from the pod", async () => {
          await using _ = await outside.serve("tcp_server", { port: 7002, kind: "sink" });
          const act = () =>
            pod.call("tcp", { to: OUTSIDE, port: 7002, size: SIZE, shutdown: true, timeout: 10 }, TENANT);
          const { result, ends } = await a.watch(act, { expected: 1 });
          assert.deepEqual([result.data, ends[0]?.bytes_up], [`${SIZE}\n`, SIZE]);
        });
        await t.step("HTTP, pod to pod", async () => {
          await using _ = await b.namespace.serve("tcp_server", { port: 8081, kind: "http", size: SIZE }, TENANT);
          const act = () =>
            pod.call("http_requests", { to: b.v6, port: 8081, count: 2, method: "POST", body: SIZE }, TENANT);
          const { result, ends } = await a.watch(act, { expected: 2 });
          assert.deepEqual(result, [[200, SIZE], [200, SIZE]]);
          assert.deepEqual(ends.map(({ bytes_up, bytes_down }) => [bytes_up, bytes_down]), [[SIZE, SIZE], [
            SIZE,
            SIZE,
          ]]);
        });
      });

      await t.step("a client that closes its writing side still gets the answer", async (t) => {
        await using _ = await outside.serve("tcp_server", { port: 7003, kind: "sink" });
        const get = "GET /half HTTP/1.1\r\nHost: x\r\n\r\n";
        const cases: Record<string, Record<string, unknown>> = {
          "TCP, later": { port: 7003, send: "\x01hello", before_shutdown: 0.3 },
          "TCP, at once": { port: 7003, send: "\x01hello" },
          "TCP, in the segment of the data": { port: 7003, send: "\x01hello", at_once: true },
          "TCP, words without an end of line": { port: 7003, send: "hello!", at_once: true },
          "HTTP, at once": { port: 8080, send: get },
          "HTTP, in the segment of the data": { port: 8080, send: get, at_once: true },
        };
        for (const [name, args] of Object.entries(cases)) {
          await t.step(name, async () => {
            const act = () =>
              Promise.all([1, 2, 3, 4, 5].map(() => pod.call("tcp", { to: OUTSIDE, shutdown: true, ...args }, TENANT)));
            const { result, ends } = await a.watch(act, { expected: 5 });
            for (const { data, error } of result) {
              assert.match(data, args.port === 7003 ? /^6\n$/ : /200 OK[^]*\/half$/, String(error));
            }
            assert.equal(ends.length, 5);
          });
        }
      });

      await t.step(
        "what the proxy still has queued when it closes its socket arrives (Connection: close, slow client outside)",
        async () => {
          await using _ = await b.namespace.serve("tcp_server", { port: 8083, kind: "http", size: SIZE }, TENANT);
          const send = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
          const result = await outside.call("tcp", { to: b.v4, port: 8083, send, slow: 0.002, timeout: 10 });
          assert.equal(result.end, "eof");
          assert.ok(result.size > SIZE, `got ${result.size} bytes`);
        },
      );

      await t.step("DNS to the cluster's resolvers, UDP and TCP, IPv4 and IPv6", async () => {
        for (const to of addresses.resolver) {
          await using _udp = await outside.serve("udp_server", { port: 53, host: to });
          await using _tcp = await outside.serve("tcp_server", { port: 53, host: to, kind: "echo" });
          const { result, ends } = await a.watch(async () => [
            await pod.call("udp", { to, port: 53, send: "query" }, TENANT),
            await pod.call("tcp", { to, port: 53, send: "query", limit: 5 }, TENANT),
          ]);
          assert.deepEqual(result.map(({ data }: { data: string }) => data), ["query", "query"]);
          assert.equal(ends.length, 0, "DNS is not recorded");
        }
      });
    },
  );
}
