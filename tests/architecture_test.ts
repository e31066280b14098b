import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { deno, filesOf, importsOf, readFile, ROOT } from "./support/tree.ts";

/** What stands at the top; a folder for everything else. */
const TOP_LEVEL = [
  ".ci .dockerignore .gitignore Dockerfile LICENSE README.md demo deno.json deno.lock deploy lib main.ts tests",
].join(" ").split(" ");

/** Folders of lib/ that each may import from besides itself. `cli` and serve.ts, which put everything together, may import all. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  assets: [],
  kube: [],
  ops: [],
  core: ["assets"],
  state: ["core", "kube"],
  controller: ["core", "kube", "ops", "state"],
  webhook: ["core", "kube", "ops", "state"],
};

/** Longest file of lib/, in lines. */
const MAX_LINES = 300;

/**
 * Globals that need no import and make a decision depend on more than its arguments. Those of Deno do not compile in core; those of the web
 * do, since the types of `node:crypto` bring them.
 */
const IMPURE =
  /\b(Date\.now|new Date\(\)|performance\.|Math\.random|crypto\.|fetch\(|setTimeout|setInterval|queueMicrotask|process\.|globalThis)/;

const sources = (await filesOf("lib")).filter((file) => file.endsWith(".ts"));
const imports = await importsOf(["main.ts", "deploy/compile.ts", ...sources]);

/** `core` of `lib/core/names.ts`, `serve.ts` of `lib/serve.ts`. */
function part(file: string): string {
  return file.split("/")[1]!;
}

Deno.test("the top level holds what the design names, and nothing else", async () => {
  const files = (await filesOf()).map((file) => file.split("/")[0]!);
  assert.deepEqual([...new Set(files)].filter((name) => !TOP_LEVEL.includes(name)), []);
});

Deno.test("imports run one way", () => {
  assert.ok(imports.length > 100, `only ${imports.length} imports were found`);
  const wrong = imports.filter(({ from, to }) => {
    if (!from.startsWith("lib/") || to.startsWith("npm:") || to.startsWith("node:")) return false;
    const allowed = MAY_IMPORT[part(from)];
    if (allowed === undefined) return !to.startsWith("lib/") && to !== "deno.json";
    return !to.startsWith("lib/") || ![part(from), ...allowed].includes(part(to));
  });
  assert.deepEqual(wrong, []);
});

Deno.test("no file imports itself by way of others", () => {
  const ofCode = imports.filter(({ to, typesOnly }) => to.startsWith("lib/") && !typesOnly);
  const next = Map.groupBy(ofCode, ({ from }) => from);
  const done = new Set<string>();
  const cycle = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const { to } of next.get(file) ?? []) {
      const found = cycle(to, [...path, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  };
  assert.equal(cycle("main.ts", []), undefined);
});

/** Globals of the web that only compute. */
const PURE_GLOBALS = `
  declare class TextDecoder { constructor(label?: string, options?: { fatal?: boolean }); decode(bytes: Uint8Array): string; }
  declare class TextEncoder { encode(text: string): Uint8Array<ArrayBuffer>; encodeInto(text: string, bytes: Uint8Array): unknown; }
  declare function btoa(text: string): string;
`;

Deno.test("core type-checks without Deno and console", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { imports, compilerOptions } = config;
    const strict = { imports, compilerOptions: { ...compilerOptions, lib: ["esnext"] } };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(strict));
    await Deno.writeTextFile(`${folder}/globals.d.ts`, PURE_GLOBALS);
    const files = [`${folder}/globals.d.ts`, ...sources.filter((file) => part(file) === "core")];
    // Two faults that the same run must find, and no other one.
    await Deno.writeTextFile(`${folder}/impure.ts`, "Deno; console;");
    const { stderr } = await deno([
      "check",
      "--no-lock",
      `--config=${folder}/deno.json`,
      `${folder}/impure.ts`,
      ...files,
    ]);
    assert.match(stderr, /Found 2 errors/);
    assert.equal(stderr.match(/ at file:.*\/impure\.ts:/g)?.length, 2, stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("core takes nothing from node: but createHash, asks nobody, and knows no time, timers or chance", async () => {
  for (const file of sources.filter((file) => part(file) === "core")) {
    const text = await readFile(file);
    const fromNode = text.match(/^import .*"node:.*$/gm) ?? [];
    assert.deepEqual(fromNode.filter((line) => line !== 'import { createHash } from "node:crypto";'), [], file);
    assert.doesNotMatch(text, IMPURE, file);
  }
});

Deno.test(`no file of lib is longer than ${MAX_LINES} lines, and main.ts has at most 60`, async () => {
  const lines = async (file: string) => (await readFile(file)).trimEnd().split("\n").length;
  for (const file of sources) assert.ok(await lines(file) <= MAX_LINES, `${file} has ${await lines(file)} lines`);
  assert.ok(await lines("main.ts") <= 60, `main.ts has ${await lines("main.ts")} lines`);
});

Deno.test("only the log writes to the console or to the standard streams of the process", async () => {
  for (const file of sources.filter((file) => file !== "lib/ops/log.ts")) {
    assert.doesNotMatch(await readFile(file), /\bconsole\.|Deno\.std(in|out|err)\b/, file);
  }
});

Deno.test("the container builds get all that they compile", async () => {
  const kept = (await readFile(".dockerignore")).split("\n").filter((line) => line.startsWith("!")).map((line) =>
    line.slice(1)
  );
  const needed = imports.flatMap(({ from, to }) => [from, to]).filter((file) => !/^(npm|node|file):/.test(file));
  const missing = needed.filter((file) => !kept.some((path) => file === path || file.startsWith(`${path}/`)));
  assert.deepEqual(missing, []);
});

Deno.test("no file names a folder of the machine that it was written on", async () => {
  for (const file of await filesOf()) {
    const text = await readFile(file);
    assert.ok(!text.includes(ROOT.slice(0, -1)), `${file} names ${ROOT}`);
    assert.doesNotMatch(text, /(^|[\s"'`=(:])\/(root|home\/(?!nonroot)\w+)\//m, file);
  }
});
