/**
 * The go.mod of a main module that builds programs of one Kubernetes release, from that release's own go.mod.
 *
 * Upstream replaces its staging modules by folders of its repository. A module that depends on Kubernetes does not inherit
 * those lines, so each is mapped to the version under which the Go module proxy has it: `v1.36.3` -> `v0.36.3`. Every other
 * line stays: no version is chosen anew.
 *
 * @throws {SyntaxError} where the file has no staging modules, so that its shape is not the one known here.
 */
export function deriveGoMod(upstream: string, release: string): string {
  const staged = release.replace(/^v1\./, "v0.");
  const names: string[] = [];
  const kept = upstream.split("\n").filter((line) => {
    const name = /^(?:replace)?\s*(k8s\.io\/[\w.-]+) => \.\/staging\//.exec(line)?.[1];
    if (name !== undefined) names.push(name);
    return name === undefined;
  });
  if (names.length === 0) {
    throw new SyntaxError(`Cannot build Kubernetes ${release}: its go.mod replaces no staging module`);
  }

  const body = kept.join("\n")
    .replace(/^module .*$/m, "module kc")
    .replace(/^replace \(\s*\)$/m, "") // emptied by the filter
    .replace(/^(\s*(?:require )?k8s\.io\/[\w.-]+) v0\.0\.0(?=\s|$)/gm, `$1 ${staged}`);
  const replaced = names.map((name) => `\t${name} => ${name} ${staged}\n`).join("");
  return `${body.trimEnd()}\n\nrequire k8s.io/kubernetes ${release}\n\nreplace (\n${replaced})\n`;
}
