/**
 * All that is measured: `deno task bench`, or one kind: `deno task bench:admission`. Prints a table in Markdown.
 * `--quick` tries the scripts; what comes out means nothing then.
 */
import { parseArgs } from "node:util";
import { chosenRelease } from "../cluster/versions.ts";
import { benchAdmission } from "./admission.ts";
import { benchBusy } from "./busy.ts";
import { benchConverge } from "./converge.ts";
import { benchCreate } from "./create.ts";
import { benchDecide } from "./decide.ts";
import { type Bench, type Figure, tableOf } from "./figure.ts";
import { benchGrowth } from "./growth.ts";
import { benchLayers } from "./layers.ts";
import { describeMachine, load } from "./machine.ts";
import { benchProxying } from "./proxying.ts";
import { benchRedirect } from "./redirect.ts";
import { benchReady } from "./ready.ts";
import { benchRestart } from "./restart.ts";
import { benchSidecar } from "./sidecar.ts";
import { benchStart } from "./start.ts";

const benches: Record<string, Bench> = {
  start: benchStart,
  admission: benchAdmission,
  layers: benchLayers,
  create: benchCreate,
  converge: benchConverge,
  busy: benchBusy,
  restart: benchRestart,
  growth: benchGrowth,
  ready: benchReady,
  decide: benchDecide,
  redirect: benchRedirect,
  sidecar: benchSidecar,
  proxying: benchProxying,
};

function say(stream: { writeSync(bytes: Uint8Array): number }, line: string): void {
  stream.writeSync(new TextEncoder().encode(`${line}\n`));
}

const { values, positionals } = parseArgs({
  options: { quick: { type: "boolean", default: false } },
  allowPositionals: true,
});
const unknown = positionals.find((name) => !Object.hasOwn(benches, name));
if (unknown !== undefined) {
  say(Deno.stderr, `Cannot run "${unknown}": must be one of ${Object.keys(benches).join(", ")}`);
  Deno.exit(2);
}

const log = (line: string) => say(Deno.stderr, line);
const figures: (Figure & { command: string; load: string })[] = [];
const description = await describeMachine(chosenRelease());
for (const name of positionals.length > 0 ? positionals : Object.keys(benches)) {
  const before = load();
  log(`--- ${name}, load ${before.toFixed(1)}`);
  const found = await benches[name]!({ quick: values.quick, log });
  // What the bench itself adds is in the second number.
  const range = `${before.toFixed(1)} -> ${load().toFixed(1)}`;
  figures.push(...found.map((figure) => ({ ...figure, command: `deno task bench:${name}`, load: range })));
}
for (const line of description) say(Deno.stdout, line);
say(Deno.stdout, `\n${tableOf(figures)}`);
