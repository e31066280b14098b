/**
 * The whole suite: `deno task test`. Every tier is a task of its own name and runs in a process of its own. The last line of
 * stdout is `N passed, N failed`, with `, N skipped` where anything was skipped; steps count like tests.
 * Exit code 1 when anything failed, and when a tier that must run was skipped, in part or as a whole.
 */

import { COMMANDS } from "./cluster/node/packages.ts";
import { installMissing } from "./support/debian_packages.ts";

interface Tier {
  /** Name of its task in deno.json. */
  task: string;
  /** Folder with its tests; the tier is left out where there are none yet. Absent: always there. */
  folder?: string;
  /** Where nothing of it may be skipped: `ci`, where the variable CI is set, or `always`. */
  required: "always" | "ci";
  /** Commands that it needs, each with the Debian package that brings it. */
  needs?: Record<string, string>;
}

const TIERS: Tier[] = [
  { task: "static", required: "always" },
  { task: "unit", required: "always" },
  { task: "cluster", folder: "cluster", required: "always", needs: { ip: "iproute2" } },
  { task: "node", folder: "cluster/node", required: "ci", needs: COMMANDS },
  { task: "net", folder: "net", required: "ci" },
  { task: "fuzz", folder: "fuzz", required: "ci" },
];

/** What came out of one tier. */
export interface Counts {
  /** Tests and steps that held. */
  passed: number;
  /** Names of those that did not. */
  failed: string[];
  /** Names of those that were not run. */
  skipped: string[];
}

const ENTITIES: Record<string, string> = { quot: '"', lt: "<", gt: ">", apos: "'", amp: "&" };
const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));

if (import.meta.main) {
  const tiers = await present(TIERS);
  const needs: Record<string, string> = Object.assign({}, ...tiers.map(({ needs }) => needs));
  await installMissing(needs, print).catch(({ message }) => print(message)); // the tests themselves say what they lack
  const reports = await Deno.makeTempDir({ prefix: "data-spacer-tests-" });
  const total: Counts = { passed: 0, failed: [], skipped: [] };
  let missing = false;
  try {
    for (const [i, tier] of tiers.entries()) {
      const start = performance.now();
      print(`\n=== ${tier.task} (${i + 1} of ${tiers.length})`);
      const counts = await runTier(tier, `${reports}/${tier.task}.xml`);
      print(`=== ${tier.task}: ${summary(counts)}, ${((performance.now() - start) / 1_000).toFixed(1)} s`);
      total.passed += counts.passed;
      for (const kind of ["failed", "skipped"] as const) {
        total[kind].push(...counts[kind].map((name) => `${tier.task}: ${name}`));
      }
      missing ||= counts.skipped.length > 0 && (tier.required === "always" || Boolean(Deno.env.get("CI")));
    }
  } finally {
    await Deno.remove(reports, { recursive: true });
  }
  print("");
  for (const kind of ["failed", "skipped"] as const) for (const name of total[kind]) print(`${kind}: ${name}`);
  if (missing) print("Skipped tests of a tier that must run here count as a failure of the run.");
  print(summary(total));
  Deno.exit(total.failed.length > 0 || missing ? 1 : 0);
}

async function present(tiers: Tier[]): Promise<Tier[]> {
  const found = await Promise.all(tiers.map(async ({ folder }) => {
    if (folder === undefined) return true;
    try {
      const files = await Array.fromAsync(Deno.readDir(new URL(folder, import.meta.url)));
      return files.some(({ name }) => name.endsWith("_test.ts"));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }));
  return tiers.filter((_, i) => found[i]);
}

async function runTier({ task }: Tier, report: string): Promise<Counts> {
  const args = task === "static" ? ["task", task] : ["task", task, `--junit-path=${report}`];
  const { code } = await new Deno.Command(Deno.execPath(), {
    args,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  })
    .output();
  if (task === "static") {
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? [] : ["format, lint or types"], skipped: [] };
  }
  const xml = await Deno.readTextFile(report).catch(() => undefined);
  const counts = xml === undefined ? { passed: 0, failed: [], skipped: [] } : countReport(xml);
  // an error outside of the tests, or a file that does not even load, is in no report
  if (code !== 0 && counts.failed.length === 0) counts.failed.push(`ended with code ${code}, see its output above`);
  return counts;
}

/** Counts the test cases of a JUnit report, as `deno test --junit-path` writes it. */
export function countReport(xml: string): Counts {
  const counts: Counts = { passed: 0, failed: [], skipped: [] };
  for (
    const [, name, file, content] of xml.matchAll(
      /<testcase name="([^"]*)" classname="([^"]*)"[^>]*>([^]*?)<\/testcase>/g,
    )
  ) {
    const title = `${file} ${name}`.replace(/&(quot|lt|gt|apos|amp);/g, (_, entity) => ENTITIES[entity]!);
    if (/<(failure|error)\b/.test(content!)) counts.failed.push(title);
    else if (content!.includes("<skipped")) counts.skipped.push(title);
    else counts.passed++;
  }
  return counts;
}

/** The counts in one line. */
export function summary({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`;
}
