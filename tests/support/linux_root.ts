/** Why something that needs root on Linux cannot run on this machine; undefined where it can. `what` as in "a node needs". */
export function lacksLinuxRoot(what: string): string | undefined {
  if (Deno.build.os !== "linux") return `${what} Linux`;
  return Deno.uid() === 0 ? undefined : `${what} root`;
}
