import assert from "node:assert/strict";
import { cacheFolder, exists, withLock } from "../cache.ts";
import { until } from "../processes.ts";
import { alive, difference, lookAtMachine, type Process, processesOf, type Snapshot } from "./machine.ts";
import { Node } from "./node.ts";
import { CLAIMING } from "./number.ts";
import { missing } from "./packages.ts";
import { busybox, get, serving } from "./pods.ts";

const UP = decodeURIComponent(new URL("up.ts", import.meta.url).pathname);

/** Nothing may have come or gone. What the kernel does a little later gets the time. */
async function assertNoTrace(before: Snapshot, own: string[]): Promise<void> {
  let left: Snapshot = {};
  for (let tries = 0; tries < 20; tries++) {
    left = difference(before, await lookAtMachine(own));
    if (Object.keys(left).length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  assert.deepEqual(left, {});
}

/** Runs a Pod that leaves what Pods leave: volumes, cgroups, rules for a published port. */
async function runPod(node: Node): Promise<void> {
  const spec = serving("hello");
  Object.assign(spec.containers[0]!, {
    ports: [{ containerPort: 8080, hostPort: 8080 }],
    resources: { limits: { memory: "64Mi", cpu: "500m" } },
    volumeMounts: [{ name: "memory", mountPath: "/memory" }],
  });
  spec.volumes = [{ name: "memory", emptyDir: { medium: "Memory" } }];
  await node.call("/api/v1/namespaces/default/pods", { body: { metadata: { name: "server" }, spec } });
  const { code, stderr } = await node.kubectl(["wait", "pod/server", "--for=condition=Ready", "--timeout=60s"]);
  assert.equal(code, 0, stderr);
}

function test(name: string, body: () => Promise<void>): void {
  Deno.test({ name, ignore: missing !== undefined, fn: body });
}

/** Ends a node by `end` and looks for what is left. Nobody may take its number meanwhile, or that would be found. */
async function assertEndsWithoutTrace(
  node: { name: string; processes: Process[]; before: Snapshot },
  end: () => Promise<void>,
): Promise<void> {
  assert.ok(node.processes.length > 10);
  await withLock(CLAIMING, async () => {
    await end();
    assert.deepEqual(await alive(node.processes), []);
    assert.equal(await exists(folderOf(node.name)), false);
    await assertNoTrace(node.before, [node.name]);
  });
}

function folderOf(name: string): string {
  return `${cacheFolder()}/node/${name.replace("dsnode", "")}`;
}

test("two nodes run at once, and each leaves no trace", async () => {
  const before = await lookAtMachine([]);
  const [one, other] = await Promise.all([Node.start(), Node.start()]);
  try {
    const [name, otherName] = [one.addresses.name, other.addresses.name];
    assert.notEqual(name, otherName);
    await Promise.all([one, other].map(runPod));
    const [processes, otherProcesses] = await Promise.all(
      [one, other].map((node) => processesOf(node.processes.folder)),
    );
    for (const program of ["kubelet", "httpd", "calico-felix"]) { // or nothing would be found later either
      assert.ok(processes!.some(({ command }) => command.includes(program)), `${program} is seen`);
    }
    const during = difference(before, await lookAtMachine([name]));
    assert.ok(during.links!.some((line) => line.includes(name)), "links are seen");
    assert.ok(during.cgroups!.some((line) => line.includes(`${name}/kubepods`)), "cgroups are seen");

    await assertEndsWithoutTrace({ name, processes: processes!, before }, () => one[Symbol.asyncDispose]());
    const spec = busybox("exec sleep 3600");
    await other.call("/api/v1/namespaces/default/pods", { body: { metadata: { name: "client" }, spec } });
    await other.kubectl(["wait", "pod/client", "--for=condition=Ready", "--timeout=60s"]);
    const port = { address: other.addresses.node.v4, port: 8080 };
    assert.equal(await get(other, { namespace: "default", pod: "client" }, port), "hello", "the other works on");
    const rest = { name: otherName, processes: otherProcesses!, before };
    await assertEndsWithoutTrace(rest, () => other[Symbol.asyncDispose]());
  } finally {
    await Promise.all([one, other].map((node) => node[Symbol.asyncDispose]()));
  }
});

/** A node in a process of its own. */
async function startElsewhere(): Promise<{ child: Deno.ChildProcess; folder: string; name: string; guard: number }> {
  const permissions = ["read", "write", "net", "env", "run", "sys"].map((kind) => `--allow-${kind}`);
  const child = new Deno.Command(Deno.execPath(), { args: ["run", ...permissions, UP], stdout: "piped" }).spawn();
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (said.includes("export KUBECONFIG=")) break;
  }
  const name = /node (dsnode\d+)/.exec(said)?.[1];
  assert.ok(name, said);
  const folder = folderOf(name);
  const guard = Number((await Deno.readTextFile(`${folder}/owner`)).split(" ")[0]);
  return { child, folder, name, guard };
}

test("a node whose owner is killed leaves no trace", async () => {
  const before = await lookAtMachine([]);
  const { child, folder, name } = await startElsewhere();
  const processes = await processesOf(folder);
  await assertEndsWithoutTrace({ name, processes, before }, async () => {
    child.kill("SIGKILL");
    await child.status;
    await until(async () => await exists(folder) ? undefined : true, { ms: 20_000, what: "end of the node" });
  });
});

test("what is left of a node that was killed with its guard is removed by the next start", async () => {
  const before = await lookAtMachine([]);
  const { child, folder, name, guard } = await startElsewhere();
  Deno.kill(guard, "SIGKILL"); // first, as it would clean up
  child.kill("SIGKILL");
  await child.status;
  await new Promise((resolve) => setTimeout(resolve, 500));
  const processes = await processesOf(folder);
  assert.ok(processes.some(({ command }) => command.includes("kubelet")), "it lives on");

  const said: string[] = [];
  const next = await Node.start({ log: (line) => said.push(line) });
  try {
    assert.ok(said.includes(`Removing what is left of ${name}, whose owner has died`), said.join("\n"));
    assert.deepEqual(await alive(processes), []);
    await runPod(next);
    const last = { name: next.addresses.name, processes: await processesOf(next.processes.folder), before };
    await assertEndsWithoutTrace(last, () => next[Symbol.asyncDispose]());
  } finally {
    await next[Symbol.asyncDispose]();
  }
});

test("a node that cannot start says why and leaves no trace", async () => {
  const before = await lookAtMachine([]);
  const starting = Node.start({ apiServerFlags: ["--no-such-flag"] });
  await assert.rejects(starting, /^Error: Cannot start the cluster: apiserver ended with 1:\n[^]*no-such-flag/);
  assert.deepEqual(difference(before, await lookAtMachine([])), {});
});
