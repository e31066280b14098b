/** Runs `body` with an empty cache of its own, whose folder it gets, and with these variables besides. */
export async function withCache(
  body: (folder: string) => Promise<void>,
  variables: (folder: string) => Record<string, string> = () => ({}),
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const values = { XDG_CACHE_HOME: folder, ...variables(folder) };
  const before = Object.keys(values).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(values)) Deno.env.set(name, value);
  try {
    await body(folder);
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
    await Deno.remove(folder, { recursive: true });
  }
}
