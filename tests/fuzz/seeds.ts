import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { parse } from "yaml";
import type { Injection } from "../../lib/core/injection.ts";
import { injected, liqoPod } from "../support/pods.ts";
import { filesOf, readFile } from "../support/tree.ts";

/** What mutations begin with: Liqo's pod, all goldens, and a pod that is injected already. */
export async function seedPods(injection: Injection): Promise<Pod[]> {
  const files = (await filesOf("tests/testdata/pods")).filter((file) => file.endsWith(".yaml"));
  const pods: Pod[] = await Promise.all(files.map(async (file) => parse(await readFile(file))));
  const plain = await liqoPod();
  return [...pods, plain, injected(plain, undefined, injection)];
}
