import assert from "node:assert/strict";
import { envoyFiles } from "../../lib/core/names.ts";
import { addresses, type Backend, type Pod, TENANT, World } from "./pods.ts";
import { missing } from "./tools.ts";

const FIRST = "\x01hello";

/** A folder with the proxy's configuration in which some texts are others; each must be there. */
async function changed(pod: Pod, name: string, changes: readonly [from: RegExp, to: string][]): Promise<string> {
  const folder = `${pod.world.folder}/${name}`;
  await Deno.mkdir(folder);
  const files = await Promise.all(Object.values(envoyFiles).map((file) => Deno.readTextFile(`${pod.config}/${file}`)));
  for (const [from] of changes) assert.ok(files.some((text) => from.test(text)), `${from} is nowhere`);
  for (const [i, file] of Object.values(envoyFiles).entries()) {
    const text = changes.reduce((text, [from, to]) => text.replaceAll(new RegExp(from, "g"), to), files[i]!);
    await Deno.writeTextFile(`${folder}/${file}`, text);
  }
  return folder;
}

/** Registers the tests of connections that last, end on one side only, or have lost their process. */
export function closingConnections(backend: Backend): void {
  Deno.test(
    {
      name: `connections end as they would without a proxy, however slowly (${backend})`,
      ignore: missing !== undefined,
    },
    async (t) => {
      await using world = await World.create(backend);
      const { a, b, outside } = world;
      const restart = async (config?: string) => {
        await a.stopProxy();
        await a.startProxy(config === undefined ? {} : { config });
      };

      await t.step(
        "closed on one side, silent for longer than conntrack remembers it (times divided by 30)",
        async (t) => {
          // conntrack's 60 and 120 s.
          for (const { namespace } of [a, b]) {
            for (const state of ["close_wait", "fin_wait"]) {
              await namespace.sysctl(`net/netfilter/nf_conntrack_tcp_timeout_${state}`, "2");
            }
          }
          const hurried = await changed(a, "hurried", [[/"keepalive_(time|interval)":30/, '"keepalive_$1":1']]);
          for (const pod of [a, b]) {
            await pod.stopProxy();
            await pod.startProxy({ config: hurried });
          }
          const silent = { port: 7900, kind: "sink", hold: 4.5 };
          await using _out = await outside.serve("tcp_server", silent);
          await using _in = await b.namespace.serve("tcp_server", silent, TENANT);
          const send = { port: silent.port, send: FIRST, shutdown: true, before_shutdown: 0.1, timeout: 8 };
          const ways = {
            "to the outside": [a.namespace, addresses.outside, 2],
            "to another pod": [a.namespace, addresses.b, 2],
            "from the outside": [outside, addresses.b, 0],
          } as const;
          const { result, ends } = await a.watch(() =>
            Promise.all(
              Object.values(ways).flatMap(([from, to]) => to.map((to) => from.call("tcp", { to, ...send }, TENANT))),
            ), { expected: 4 });
          for (const [i, way] of Object.keys(ways).flatMap((way) => [`${way}, IPv4`, `${way}, IPv6`]).entries()) {
            await t.step(way, () => {
              assert.deepEqual([result[i].data, result[i].end], ["6\n", "eof"]);
              assert.ok(result[i].ms > 4_400);
            });
          }
          assert.deepEqual(ends.map(({ bytes_up, bytes_down }) => [bytes_up, bytes_down]), Array(4).fill([6, 2]));

          await t.step("control: without keepalive the answer is lost", async () => {
            await restart(await changed(a, "no-keepalive", [[/"keepalive_(time|interval)":30/, '"keepalive_$1":60']]));
            const { data } = await a.namespace.call("tcp", { ...send, to: addresses.outside[0], timeout: 6 }, TENANT);
            assert.equal(data, "");
          });
        },
      );

      await t.step("a program that sends, closes and ends: all of it arrives", async (t) => {
        await restart();
        for (
          const [name, from, server, to] of [
            ["from the pod", a.namespace, outside, addresses.outside],
            ["to the pod", outside, a.namespace, addresses.a],
          ] as const
        ) {
          await t.step(name, async () => {
            // It reads only when the program has ended, whose socket is without an owner then.
            const late = { port: 7901, kind: "sink", wait: 1 };
            await using service = await server.serve<{ closed?: unknown; total?: number }>("tcp_server", late, TENANT);
            const { ends } = await a.watch(() =>
              Promise.all(
                to.map((to) => from.call("tcp", { to, port: 7901, send: "\x01".repeat(1_000_000), limit: 0 }, TENANT)),
              ), { expected: 2 });
            const totals = (await service.log()).filter(({ closed }) => closed).map(({ total }) => total);
            assert.deepEqual(totals, [1_000_000, 1_000_000]);
            assert.deepEqual(ends.map(({ bytes_up }) => bytes_up), [1_000_000, 1_000_000]);
          });
        }
      });

      await t.step(
        "long ones are recorded when they start, while they last, and once at their end (times divided by 20)",
        async (t) => {
          const often = '"access_log_flush_interval":"0.5s"';
          await restart(await changed(a, "often", [[/"access_log_flush_interval":"\d+s"/, often]]));
          await using _echo = await outside.serve("tcp_server", { port: 7902, kind: "echo" });
          await using _http = await outside.serve("tcp_server", { port: 8080, kind: "http" });
          const to = addresses.outside[0];
          const cases = {
            "TCP": [
              () => a.namespace.call("tcp", { to, port: 7902, send: FIRST, limit: 6, hold: 1.3 }, TENANT),
              "TcpUpstreamConnected",
              "TcpPeriodic",
              "TcpConnectionEnd",
            ],
            "HTTP": [
              () => a.namespace.call("http_requests", { to, port: 8080, count: 1, path: "/slow" }, TENANT),
              undefined,
              "DownstreamPeriodic",
              "DownstreamEnd",
            ],
          } as const;
          for (const [name, [act, start, meanwhile, end]] of Object.entries(cases)) {
            await t.step(name, async () => {
              const { records, ends } = await a.watch(act, { expected: 1, settle: 600 });
              const types = records.map(({ type }) => type);
              assert.deepEqual([types.at(-1), ends.length], [end, 1], types.join(" "));
              if (start !== undefined) assert.equal(types[0], start);
              const periodic = types.filter((type) => type === meanwhile).length;
              assert.ok(periodic >= 1 && periodic <= 3, types.join(" "));
              assert.equal(types.length, periodic + (start === undefined ? 1 : 2), types.join(" "));
              assert.deepEqual(new Set(records.map(({ destination }) => destination)).size, 1);
            });
          }
        },
      );

      await t.step(
        "those that are open when the proxy is killed end at once, and each can be opened again",
        async () => {
          await restart();
          await using _echo = await outside.serve("tcp_server", { port: 7903, kind: "echo" });
          await using _in = await a.namespace.serve("tcp_server", { port: 7903, kind: "echo" }, TENANT);
          const open = [[a.namespace, addresses.outside], [outside, addresses.a]] as const;
          const talk = (limit: number) =>
            Promise.all(
              open.flatMap(([from, to]) =>
                to.map((to) => from.call("tcp", { to, port: 7903, send: FIRST, limit, timeout: 8 }, TENANT))
              ),
            );
          const cut = talk(100);
          await new Promise((resolve) => setTimeout(resolve, 900));
          await a.stopProxy("SIGKILL");
          for (const { data, end, ms } of await cut) {
            assert.deepEqual([data, ["eof", "ECONNRESET"].includes(end)], [FIRST, true], end);
            assert.ok(ms < 3_000, `${ms} ms`);
          }
          await a.startProxy();
          assert.deepEqual((await talk(6)).map(({ data }) => data), Array(4).fill(FIRST));
        },
      );
    },
  );
}
