import { ROOT } from "../support/tree.ts";
import type { Cluster } from "./cluster.ts";

/** A kustomization made for one test, of folders in `../deploy/` and more lines; returns its folder. */
export async function overlay(cluster: Cluster, text: string): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: cluster.processes.folder });
  await Deno.symlink(`${ROOT}deploy`, `${folder}/deploy`);
  await Deno.mkdir(`${folder}/mine`);
  await Deno.writeTextFile(`${folder}/mine/kustomization.yaml`, text);
  return `${folder}/mine`;
}
