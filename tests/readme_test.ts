import assert from "node:assert/strict";
import { parse } from "yaml";
import config from "../deno.json" with { type: "json" };
import { RESULTS } from "../lib/controller/controller.ts";
import { options } from "../lib/core/options.ts";
import { reasons } from "../lib/core/reasons.ts";
import { createMetrics } from "../lib/ops/metrics.ts";
import { consumerRows, spoofRows } from "./cluster/node/hostile/consumer_rows.ts";
import { networkRows } from "./cluster/node/hostile/network_rows.ts";
import { harmlessPodRows, podRows } from "./cluster/node/hostile/pod_rows.ts";
import { deedRows, ownRows } from "./cluster/node/hostile/proxy_rows.ts";
import { reportTable } from "./cluster/node/hostile/rows.ts";

const README = new URL("../README.md", import.meta.url);

function table(head: string[], rows: string[][]): string {
  const cells = (row: string[]) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [cells(head), cells(head.map(() => "---")), ...rows.map(cells)].join("\n");
}

function flagTable(): string {
  const rows = Object.values(options).map(({ flag, env, value, alone, default: initial, help }) => [
    alone === undefined ? `\`--${flag} ${value}\`` : `\`--${flag}[=${value}]\``,
    `\`${env}\``,
    initial ? `\`${initial}\`` : "",
    help,
  ]);
  return table(["flag", "variable", "default", "what it is"], rows);
}

function eventTable(): string {
  const rows = Object.entries(reasons).map(([reason, spec]) => [`\`${reason}\``, spec.type, spec.when, spec.remedy]);
  return table(["reason", "type", "given when", "what to do"], rows);
}

/** From the text that Prometheus gets: names, labels and help are the code's own. */
async function metricTable(): Promise<string> {
  const one = ["x"];
  const series = {
    controllers: one,
    results: RESULTS,
    admissions: [{ verdict: "x", reason: "x" }],
    kinds: one,
    becauses: one,
    drifts: one,
    watches: one,
    restarts: one,
    events: one,
    certificates: one,
    connectionEnds: one,
  };
  const text = await createMetrics({
    version: "0",
    series,
    queues: { x: { stats: () => ({ depth: 0, oldestMs: 0 }) } },
  })
    .text();
  const rows = [...text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)\n(.*)/gm)].map(
    ([, name, help, type, sample]) => {
      const labels = [...sample!.matchAll(/(\w+)="/g)].map(([, label]) => label!).filter((label) => label !== "le");
      return [`\`${name}\``, type!, labels.map((label) => `\`${label}\``).join(", "), help!];
    },
  );
  return table(["metric", "type", "labels", "what it is"], rows);
}

Deno.test("README.md has the flags, events and metrics of the code, and what the tests on a node try", async (t) => {
  const tables = {
    flags: flagTable(),
    events: eventTable(),
    metrics: await metricTable(),
    "attempts-network": reportTable(networkRows),
    "attempts-process": reportTable([...deedRows, ...Object.values(ownRows)]),
    "attempts-pods": reportTable([...podRows, ...harmlessPodRows, ...Object.values(spoofRows)]),
    "attempts-api": reportTable(consumerRows),
  };
  let text = await Deno.readTextFile(README);
  for (const [name, wanted] of Object.entries(tables)) {
    await t.step(name, async () => {
      const section = new RegExp(`(<!-- ${name}: [^\\n]*-->\\n)([^]*?)(<!-- /${name} -->)`);
      const found = section.exec(text);
      assert.ok(found, `no section ${name}`);
      if (Deno.args.includes("--update")) {
        text = text.replace(section, (_, begin, __, end) => `${begin}\n${wanted}\n\n${end}`);
        await Deno.writeTextFile(README, text);
      } else assert.equal(normal(found[2]!), normal(wanted), "run `deno task readme`, then `deno fmt`");
    });
  }
});

/** The formatter pads cells. */
function normal(markdown: string): string {
  return markdown.trim().replace(/ +/g, " ").replace(/-+/g, "-");
}

Deno.test("README.md names the two commands, every dependency and only tasks that exist", async () => {
  const text = await Deno.readTextFile(README);
  for (const command of ["npx -y deno@2.9.6 task demo", "npx -y deno@2.9.6 task test"]) {
    assert.ok(text.includes(command));
  }
  for (const name of Object.keys(config.imports)) {
    assert.ok(text.includes(`\`${name.replace(/\/$/, "")}\``), `dependency ${name} is not justified`);
  }
  for (const [, task] of text.matchAll(/deno task ([a-z][\w:]*)/g)) {
    assert.ok(task! in config.tasks, `no task ${task}`);
  }
});

Deno.test("README.md's overlay comes and goes in the order of the base, which kustomize takes from the outermost folder alone", async () => {
  const [, example] = /```yaml\n(# kustomization\.yaml\n[^]*?)```/.exec(await Deno.readTextFile(README)) ?? [];
  const base = await Deno.readTextFile(new URL("../deploy/base/kustomization.yaml", import.meta.url));
  assert.ok(parse(base).sortOptions);
  assert.deepEqual(parse(example ?? "").sortOptions, parse(base).sortOptions);
});
