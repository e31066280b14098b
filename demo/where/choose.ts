import type { Run } from "../commands.ts";
import type { Options } from "../options.ts";

/** Where the story is told. */
export type Where = { on: "context"; context: string } | { on: "kind" } | { on: "node" };

/** What of a machine decides that. */
export interface Machine {
  run: Run;
  /** As of `Deno.build.os`. */
  os: string;
  /** As of `Deno.uid()`; null where there are none. */
  uid: number | null;
}

/** What a new kind cluster takes, each with a command that shows it is there. */
const KIND: [what: string, command: string[]][] = [
  ["Docker", ["docker", "version", "--format", "{{.Server.Version}}"]],
  ["kind", ["kind", "version"]],
  ["kubectl", ["kubectl", "version", "--client"]],
];

/**
 * The context that was named, else kind where all for it is there, else a node of this machine.
 *
 * @throws {Error} that says for each of them what is missing.
 */
export async function choose({ context, on }: Pick<Options, "context" | "on">, machine: Machine): Promise<Where> {
  if (context !== undefined) return { on: "context", context };
  const forKind = on === "node" ? ["--on node"] : await missingForKind(machine.run);
  if (forKind.length === 0) return { on: "kind" };
  const forNode = on === "kind" ? ["--on kind"] : missingForNode(machine);
  if (forNode.length === 0) return { on: "node" };
  const ways = [
    ...(on === "node" ? [] : [`a new kind cluster: there is no ${forKind.join(", no ")}`]),
    ...(on === "kind" ? [] : [`a node of this machine: that takes ${forNode.join(" and ")}`]),
    "a cluster that you have: name its context, --context NAME",
  ];
  throw new Error(`Cannot tell the story: it needs one of\n  ${ways.join("\n  ")}`);
}

async function missingForKind(run: Run): Promise<string[]> {
  const there = await Promise.all(KIND.map(async ([, command]) => (await run(command)).code === 0));
  return KIND.filter((_, i) => !there[i]).map(([what]) => what === "Docker" ? "Docker that answers" : what);
}

function missingForNode({ os, uid }: Machine): string[] {
  return [...(os === "linux" ? [] : ["Linux"]), ...(uid === 0 ? [] : ["root"])];
}
