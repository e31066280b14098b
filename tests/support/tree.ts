/** Folder of the project, with a slash at its end. */
export const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);

/** What is no part of the project. */
const NOT_OURS = [".git", "dist", "coverage", "node_modules"];

/** Paths of all files in a folder of the project and below, relative to the project, sorted. */
export async function filesOf(folder = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(ROOT + folder)) {
    if (NOT_OURS.includes(name)) continue; // .git is a file in a linked working tree
    const path = folder === "" ? name : `${folder}/${name}`;
    if (isDirectory) files.push(...await filesOf(path));
    else files.push(path);
  }
  return files.sort();
}

/** Text of a file of the project. */
export function readFile(path: string): Promise<string> {
  return Deno.readTextFile(ROOT + path);
}

/** Runs `deno` in the project, with these variables besides our own. */
export async function deno(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { args, cwd: ROOT, env: { NO_COLOR: "1", ...env }, stdin: "null" } as const;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), options).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

interface ModuleGraph {
  modules: { specifier: string; dependencies?: { specifier: string; code?: Resolved; type?: Resolved }[] }[];
}

interface Resolved {
  specifier?: string;
}

/** One import. */
export interface Import {
  /** File of the project that imports. */
  from: string;
  /** File of the project, or a specifier such as `node:util` or `npm:/valibot@1.5.0`. */
  to: string;
  /** Nothing is left of it when the program runs. */
  typesOnly: boolean;
}

/** Every import in these files and in all that they import. */
export async function importsOf(files: readonly string[]): Promise<Import[]> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(entry, files.map((file) => `import "file://${ROOT}${file}";\n`).join(""));
    const { code, stdout, stderr } = await deno(["info", "--json", `--config=${ROOT}deno.json`, entry]);
    if (code !== 0) throw new Error(`Cannot read the imports: ${stderr}`);
    const { modules } = JSON.parse(stdout) as ModuleGraph;
    return modules.filter((module) => !module.specifier.endsWith(entry)).flatMap(({ specifier, dependencies = [] }) =>
      dependencies.map(({ code, type, ...named }) => ({
        from: inProject(specifier),
        to: inProject(code?.specifier ?? type?.specifier ?? named.specifier),
        typesOnly: code === undefined,
      }))
    );
  } finally {
    await Deno.remove(entry);
  }
}

function inProject(specifier: string): string {
  const path = decodeURIComponent(specifier);
  return path.startsWith(`file://${ROOT}`) ? path.slice(`file://${ROOT}`.length) : specifier;
}
