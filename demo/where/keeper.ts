import { TEST_IMAGES } from "../../tests/cluster/node/images.ts";
import { startNodeWithImages } from "../../tests/cluster/node/installation.ts";
import type { Node } from "../../tests/cluster/node/node.ts";
import { linesOf } from "../../tests/support/lines.ts";
import { KEEP, keptFile, type Ready } from "./node.ts";

// Starts a node and holds it: until its stdin ends, or, once it was told to keep it, until `--clean` removes a file.

const EVERY_MS = 500;
let started = false;

/** The first line of stdin; undefined where it ends without one. Who ends it while we still start wants nothing of us any more. */
async function listen(): Promise<string | undefined> {
  for await (const line of linesOf(Deno.stdin.readable)) return line;
  if (!started) Deno.exit(1); // the guard of the node's processes takes down what there is
}

async function start(): Promise<Node> {
  try {
    return await startNodeWithImages();
  } catch (error) {
    Deno.stderr.writeSync(new TextEncoder().encode(`${(error as Error).message}\n`));
    Deno.exit(1);
  }
}

const order = listen();
await using node = await start();
started = true;
// Ctrl-C is for the demo, which ends us by our stdin; a terminal that goes is nothing to us once we are kept.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
const { folder } = node.processes;
const ready: Ready = {
  release: node.binaries.release,
  folder,
  kubectl: node.binaries.kubectl,
  kubeconfig: await node.kubeconfig(),
  images: TEST_IMAGES,
};
await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify(ready)}\n`));
if (await order === KEEP) {
  await Deno.mkdir(keptFile().replace(/\/[^/]*$/, ""), { recursive: true });
  await Deno.writeTextFile(keptFile(), `${folder}\n`);
  while (await Deno.readTextFile(keptFile()).catch(() => "") === `${folder}\n`) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
await node[Symbol.asyncDispose]();
Deno.exit(0);
