/** The Debian packages that bring those of the commands, or programs by path, that are missing. `commands`: the package of each. */
export async function missingPackages(commands: Record<string, string>): Promise<string[]> {
  const names = Object.keys(commands);
  const there = await Promise.all(names.map((name) => succeeds("sh", ["-c", 'command -v "$0"', name])));
  return [...new Set(names.filter((_, i) => !there[i]).map((name) => commands[name]!))];
}

/**
 * Installs the packages that bring what is missing. `say` gets a line before it does.
 *
 * @throws {Error} naming the packages, where that fails.
 */
export async function installMissing(commands: Record<string, string>, say: (line: string) => void): Promise<void> {
  const packages = await missingPackages(commands);
  if (packages.length === 0) return;
  const command = `apt-get install --yes --no-install-recommends ${packages.join(" ")}`;
  say(`Missing: ${packages.join(" ")}. Running "${command}"`);
  const installed = Deno.uid() === 0 &&
    await succeeds("sh", ["-c", `apt-get update --quiet && DEBIAN_FRONTEND=noninteractive ${command}`], "inherit");
  if (!installed) throw new Error(`Cannot install ${packages.join(" ")}: do it by hand, as root`);
}

async function succeeds(command: string, args: string[], stderr: "null" | "inherit" = "null"): Promise<boolean> {
  return (await new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr }).output()).success;
}
