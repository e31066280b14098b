import assert from "node:assert/strict";
import { injectedNames } from "../../../lib/core/names.ts";
import { Namespace } from "../../net/namespace.ts";
import { forbidden } from "../../net/pods.ts";
import { until } from "../processes.ts";
import { Judge, told } from "./hostile/network.ts";
import { networkRows } from "./hostile/network_rows.ts";
import { type Place, Places } from "./hostile/places.ts";
import { type DeedRow, deedRows, ownRows } from "./hostile/proxy_rows.ts";
import { fillIn, type Row, type Verdict, writeReport } from "./hostile/rows.ts";
import { startInstallation } from "./installation.ts";
import { processOf } from "./offloaded.ts";
import { missing } from "./packages.ts";

// What a process of the consumer can do in a running pod. Each row is really tried, in a pod that was injected, and, where that shows
// anything, the same way in one that was not.

/** So that all pods find room on a machine with two cores. */
const INSTALL = { env: { INIT_RESOURCES: "cpu=200m,memory=64Mi" } };

const stack = new AsyncDisposableStack();
Deno.test.afterAll(async () => await stack.disposeAsync());
const installation = missing === undefined ? stack.use(await startInstallation({ install: INSTALL })) : undefined!;
const { node } = installation ?? {};
const places = missing === undefined ? await Places.prepare(installation) : undefined!;
const agent = missing === undefined ? stack.use(await Namespace.within(node.enter)) : undefined!;
const judge = missing === undefined ? await Judge.watch(node, places, agent) : undefined!;

const seen = new Map<Row, Verdict>();

function test(name: string, body: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name, ignore: missing !== undefined, fn: body });
}

/** Some container runtimes let every process have ping sockets: so that it is our rules that are tried. */
async function allowPingSockets(place: Place): Promise<void> {
  const pid = await processOf(node, { namespace: places.namespace(place), pod: place, container: "main" });
  const script = "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range";
  const { code, stderr } = await node.node("nsenter", "-t", `${pid}`, "-n", "sh", "-c", script);
  assert.equal(code, 0, stderr);
}

test("nothing that a pod sends or gets passes the proxy by, but what is said to", async (t) => {
  for (const place of ["restricted", "control"] as const) await allowPingSockets(place);
  await using outside = await Namespace.within(["env"]);
  const { code, stderr } = await node.node("ip", "address", "add", "169.254.169.254/32", "dev", "lo");
  assert.equal(code, 0, stderr);
  const banner = { port: 7100, kind: "banner", banner: "peer 0\n" };
  await using _metadata = await agent.serve("tcp_server", { ...banner, host: "169.254.169.254" });
  await using _host = await outside.serve("tcp_server", { ...banner, host: node.addresses.host.v4 });
  const shown = networkRows.filter(({ bare }) => bare !== undefined);
  const [guarded, control] = await Promise.all([
    judge.attempt(networkRows, "guarded"),
    judge.attempt(shown, "control"),
  ]);
  const [verdicts, bare] = [await judge.verdicts(guarded), await judge.verdicts(control)];
  for (const attempt of guarded) {
    const { row, command, output } = attempt;
    await t.step(`${row.expected}: ${row.what}: ${row.how}`, () => {
      const verdict = verdicts.get(row)!;
      if (verdict instanceof Error) throw verdict;
      seen.set(row, verdict);
      assert.equal(verdict, row.expected, `${command}\n${output}`);
    });
  }
  for (const { row, command, output } of control) {
    await t.step(`control, ${row.bare}: ${row.what}: ${row.how}`, () => {
      assert.equal(bare.get(row), row.bare, `${command}\n${output}`);
    });
  }
});

/** What a command came to, and what it printed. */
interface Deed {
  verdict: Verdict;
  output: string;
}

/** A deed has come off where its command ends with 0, and a connection where it stands, whatever comes of it. */
async function attempt(place: Place, { how }: DeedRow): Promise<Deed> {
  const { code, stdout, stderr } = await places.run(place, told(fillIn(how, places.values(place))));
  assert.doesNotMatch(stderr, /not found|unknown|usage/i, how); // such a failure would be none of ours
  const done = code === 0 || stderr.includes("successfully connected");
  return { verdict: done ? "gets through" : "refused", output: `${stdout}${stderr}` };
}

test("a process has no power over the proxy, its rules and the kernel, but what it is said to", async (t) => {
  const shown = deedRows.filter(({ bare }) => bare !== undefined);
  const lanes = [deedRows.filter((_, i) => i % 2 === 0), deedRows.filter((_, i) => i % 2 === 1)];
  const came = { guarded: new Map<Row, Deed>(), control: new Map<Row, Deed>() };
  await Promise.all([
    ...lanes.map(async (rows) => {
      for (const row of rows) came.guarded.set(row, await attempt(row.from ?? "restricted", row));
    }),
    (async () => {
      for (const row of shown) came.control.set(row, await attempt("control", row));
    })(),
  ]);
  for (const row of deedRows) {
    await t.step(`${row.expected}: ${row.what}: ${row.how}`, () => {
      const { verdict, output } = came.guarded.get(row)!;
      seen.set(row, verdict);
      assert.equal(verdict, row.expected, output);
      const control = came.control.get(row);
      assert.equal(control?.verdict, row.bare, `control: ${control?.output}`);
    });
  }
  for (const place of ["restricted", "root"] as const) {
    assert.deepEqual(forbidden(await judge.frames(place), [node.addresses.dns]), [], place);
  }
});

/** A connection to the hospital is recorded. */
async function assertRecorded(place: Place): Promise<void> {
  const row = {
    what: "",
    how: "socat -u TCP:{hospital}:7100 -",
    from: place,
    kind: "connection",
    expected: "recorded",
  } as const;
  const attempts = await judge.attempt([row], "guarded");
  assert.equal((await judge.verdicts(attempts)).get(row), "recorded", attempts[0]!.output);
}

test("a process that signals every other one does not reach the proxy", async () => {
  const at = { namespace: places.namespace("proxy-uid"), pod: "proxy-uid", container: injectedNames.proxy };
  const before = await processOf(node, at);
  await places.run("proxy-uid", ownRows.killsAll.how);
  assert.doesNotMatch((await places.run("proxy-uid", "ps")).stdout, /httpd -p/); // it reached all others
  await assertRecorded("proxy-uid");
  assert.equal(await processOf(node, at), before);
  seen.set(ownRows.killsAll, "recorded");
});

/** What a pod has sent that is no refusal. */
async function sent(place: Place, from: number): Promise<unknown[]> {
  const frames = await judge.frames(place, from);
  const tcp = frames.filter(({ from, proto, flags }) => from === "pod" && proto === 6 && !flags?.includes("R"));
  return [...tcp, ...forbidden(frames, [node.addresses.dns])];
}

test("nothing passes while the proxy is dead, not even by who takes its ports", async (t) => {
  const place = "neighbour";
  const at = { namespace: places.namespace(place), pod: place, container: injectedNames.proxy };
  let pid = 0;
  for (let kills = 1; kills <= 2; kills++) { // the second time the kubelet waits 10 s before it starts it anew
    pid = await until(async () => {
      const now = await processOf(node, at).catch(() => 0);
      return now !== 0 && now !== pid ? now : undefined;
    }, { ms: 20_000, what: "proxy", every: 50 });
    assert.equal((await node.node("kill", "-9", `${pid}`)).code, 0);
  }
  const outbound = (row: Row) => places.run(place, fillIn(row.how, places.values(place)), 2);
  const inbound = () => places.run("hospital", fillIn("socat -u TCP:{neighbour}:7100 -", places.values("hospital")), 2);
  const start = (await judge.frames(place)).length;
  await t.step("as it is", async () => {
    const answers = await Promise.all([outbound(ownRows.proxyDead), outbound(ownRows.proxyDeadUdp), inbound()]);
    for (const { stdout } of answers) assert.equal(stdout, "");
    assert.deepEqual(await sent(place, start), []);
    for (const row of [ownRows.proxyDead, ownRows.proxyDeadUdp]) seen.set(row, "dropped");
  });
  await t.step("its ports taken", async () => {
    const squatters = [ownRows.squatsOutbound, ownRows.squatsInbound].map(({ how }) =>
      places.run(place, `exec ${how}`, 5)
    );
    await until(async () => {
      const { stdout } = await places.run(place, "netstat -ltn");
      return /127\.0\.0\.1:15801/.test(stdout) && /:::15806/.test(stdout) || undefined;
    }, { ms: 2_500, what: "both ports taken" }).catch(async (cause) => {
      const said = (await Promise.all(squatters)).map(({ stderr }) => stderr).join("");
      throw new Error(`${cause.message}: ${said}`, { cause });
    });
    const answers = await Promise.all([outbound(ownRows.proxyDead), inbound()]);
    for (const { stdout } of answers) assert.equal(stdout, "");
    assert.deepEqual(await sent(place, start), []);
    const running = (await processOf(node, at).catch(() => pid)) !== pid;
    assert.equal(running, false, "the proxy came back too soon: nothing was shown");
    await Promise.all(squatters);
    for (const row of [ownRows.squatsOutbound, ownRows.squatsInbound]) seen.set(row, "dropped");
  });
  await until(async () => {
    return (await outbound(ownRows.proxyDead)).stdout.startsWith("peer") || undefined;
  }, { ms: 60_000, what: "proxy", every: 500 });
  await assertRecorded(place);
});

test("a socket to the hypervisor is the container runtime's to refuse, which containerd does from 1.7 on", async () => {
  const { stdout } = await node.node("containerd", "--version");
  const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout)!.map(Number);
  const { stderr } = await places.run("restricted", "socat -d -d -u OPEN:/dev/null VSOCK-CONNECT:2:9");
  if (/Address family not supported/.test(stderr)) return; // this kernel has none
  assert.equal(/E socket\(/.test(stderr), major! > 1 || minor! >= 7, stderr);
});

test("what was seen is reported", async () => {
  await writeReport("hostile-pod", [...networkRows, ...deedRows, ...Object.values(ownRows)], seen);
});
