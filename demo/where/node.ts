import { cacheFolder, exists } from "../../tests/cluster/cache.ts";
import { until } from "../../tests/cluster/processes.ts";
import { linesOf } from "../../tests/support/lines.ts";
import { ROOT } from "../../tests/support/tree.ts";
import { Kubectl } from "../kubectl.ts";
import type { Ground, Images, Means } from "./ground.ts";

/** What the keeper says when its node is ready, as a line of JSON. */
export interface Ready {
  /** Kubernetes' version. */
  release: string;
  /** Folder of the node; gone when the node is. */
  folder: string;
  kubectl: string;
  kubeconfig: string;
  images: Images;
}

/** Said to a keeper: outlive me. */
export const KEEP = "keep";

/** Where a keeper that outlives us looks whether it is still wanted: the file names its folder. */
export function keptFile(): string {
  return `${cacheFolder()}/demo/kept-node`;
}

/**
 * A node of this machine, in a process of its own (keeper.ts), so that it can outlive this one.
 *
 * @throws {Error} with what it said.
 */
export async function nodeGround({ screen, signal }: Means): Promise<Ground> {
  const permissions = ["--allow-read", "--allow-write", "--allow-net", "--allow-env", "--allow-run", "--allow-sys"];
  const keeper = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", ...permissions, `${ROOT}demo/where/keeper.ts`],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const orders = keeper.stdin.getWriter();
  const giveUp = () => void orders.close().catch(() => {});
  signal.addEventListener("abort", giveUp);
  const said: string[] = [];
  const told = (async () => {
    for await (const line of linesOf(keeper.stderr)) {
      said.push(line);
      screen.progress(line);
    }
  })();
  const answer = linesOf(keeper.stdout);
  const { value, done } = await answer.next();
  signal.removeEventListener("abort", giveUp);
  if (done) {
    await Promise.all([told, keeper.status]);
    throw new Error(`Cannot start a node:\n${said.slice(-8).join("\n")}`);
  }
  const { release, folder, kubectl, kubeconfig, images } = JSON.parse(value) as Ready;
  return {
    title: `a node of its own on this machine, Kubernetes ${release}`,
    kubectl: new Kubectl([kubectl, "--kubeconfig", kubeconfig], { HOME: folder }),
    images,
    shell: [`export KUBECONFIG=${kubeconfig}`, `export PATH=${kubectl.replace(/\/[^/]*$/, "")}:$PATH`],
    clean: "--clean",
    async keep(): Promise<void> {
      await orders.write(new TextEncoder().encode(`${KEEP}\n`));
      await until(async () => await keptFolder() === folder || undefined, {
        ms: 10_000,
        what: "answer of the node's keeper",
      });
      keeper.unref();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await orders.close().catch(() => {}); // it may have ended by itself
      await keeper.status;
      await gone(folder);
    },
  };
}

/** Ends the node that was kept, if there is one. */
export async function cleanNode({ screen }: Means): Promise<void> {
  const folder = await keptFolder();
  if (folder === undefined) {
    screen.progress("No node was kept");
    return;
  }
  screen.progress("Removing the node that was kept");
  await Deno.remove(keptFile());
  await gone(folder);
}

async function keptFolder(): Promise<string | undefined> {
  return await exists(keptFile()) ? (await Deno.readTextFile(keptFile())).trim() : undefined;
}

async function gone(folder: string): Promise<void> {
  await until(async () => !await exists(folder) || undefined, {
    ms: 30_000,
    what: `end of the node in ${folder}`,
    every: 100,
  });
}
