import assert from "node:assert/strict";
import { cacheFolder, exists } from "../cache.ts";
import { until } from "../processes.ts";
import { addressesOf, NUMBERS } from "./addresses.ts";
import { alive, difference, lookAtMachine, type Process, processesOf, type Snapshot } from "./machine.ts";
import { Node } from "./node.ts";
import { missing } from "./packages.ts";
import { busybox, exec, get, serving } from "./pods.ts";

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

test("two nodes run at once, and leave no trace", async () => {
  const all = Array.from({ length: NUMBERS }, (_, i) => addressesOf(i + 1).name);
  const empty = await lookAtMachine([]);
  const nodes = await Promise.all([Node.start(), Node.start()]);
  const names = nodes.map(({ addresses }) => addresses.name);
  const processes: Process[] = [];
  try {
    assert.notEqual(names[0], names[1]);
    assert.ok(names.every((name) => all.includes(name)));
    await Promise.all(nodes.map(runPod));
    for (const node of nodes) {
      const found = await processesOf(node.processes.folder);
      for (const name of ["kubelet", "httpd", "calico-felix"]) {
        assert.ok(found.some(({ command }) => command.includes(name)), `${name} is seen`);
      }
      processes.push(...found);
    }
    const during = difference(empty, await lookAtMachine(names));
    for (const name of names) assert.ok(during.links!.some((line) => line.includes(name)), "links are seen");
    assert.ok(during.cgroups!.some((line) => line.includes("kubepods")), "cgroups are seen");

    await nodes[0]![Symbol.asyncDispose]();
    const client = busybox("exec sleep 3600");
    await nodes[1]!.call("/api/v1/namespaces/default/pods", { body: { metadata: { name: "client" }, spec: client } });
    await nodes[1]!.kubectl(["wait", "pod/client", "--for=condition=Ready", "--timeout=60s"]);
    const { stdout } = await exec(nodes[1]!, "default", "client", "hostname");
    assert.equal(stdout, "client\n", "the other works on");
    const port = { address: nodes[1]!.addresses.node.v4, port: 8080 };
    assert.equal(await get(nodes[1]!, { namespace: "default", pod: "client" }, port), "hello");
  } finally {
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
  }
  assert.deepEqual(await alive(processes), []);
  for (const node of nodes) {
    assert.deepEqual(await processesOf(node.processes.folder), []);
    assert.equal(await exists(node.processes.folder), false);
  }
  await assertNoTrace(empty, names);
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
  const folder = `${cacheFolder()}/node/${name.replace("dsnode", "")}`;
  const guard = Number((await Deno.readTextFile(`${folder}/owner`)).split(" ")[0]);
  return { child, folder, name, guard };
}

test("a node whose owner is killed leaves no trace", async () => {
  const before = await lookAtMachine([]);
  const { child, folder, name } = await startElsewhere();
  const processes = await processesOf(folder);
  assert.ok(processes.length > 10);
  child.kill("SIGKILL");
  await child.status;
  await until(async () => await exists(folder) ? undefined : true, { ms: 20_000, what: "end of the node" });
  assert.deepEqual(await alive(processes), []);
  await assertNoTrace(before, [name]);
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
    assert.deepEqual(said.filter((line) => line.includes("dsnode")), [
      `Removing what is left of ${name}, whose owner has died`,
    ]);
    assert.deepEqual(await alive(processes), []);
    await runPod(next);
  } finally {
    await next[Symbol.asyncDispose]();
  }
  await assertNoTrace(before, [name, next.addresses.name]);
});
