/** Calico 3.28 as the Go module proxy has it: its releases are no valid versions of a module, so by the name of a commit. */
export const CALICO = "v1.11.0-cni-plugin.0.20250813170300-a0db560f0520";

/** The definitions of Calico's objects: the commit that belongs to {@linkcode CALICO}. */
export const CALICO_API = "v0.0.0-20240708202104-e3f70b269c2c";

const MODULE = "github.com/projectcalico/calico";
const API = "github.com/projectcalico/api";

/**
 * The go.mod of a main module that builds programs of Calico, from Calico's own: a folder of its repository is replaced by
 * the published version, every other line stays.
 *
 * @throws {SyntaxError} where the file replaces other folders, so that its shape is not the one known here.
 */
export function deriveCalicoGoMod(upstream: string): string {
  const derived = upstream
    .replace(/^module .*$/m, "module calico")
    .replace(/^((?:replace)?\s*)github\.com\/projectcalico\/api => \.\/api$/m, `$1${API} => ${API} ${CALICO_API}`);
  const folder = /=> (\.\S*)/.exec(derived)?.[1];
  if (folder !== undefined) throw new SyntaxError(`Cannot build Calico: its go.mod replaces a module by ${folder}`);
  return `${derived.trimEnd()}\n\nrequire ${MODULE} ${CALICO}\n`;
}
