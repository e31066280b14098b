/** Where the tests keep what is costly to make: `$XDG_CACHE_HOME/data-spacer`, else `~/.cache/data-spacer`. Safe to delete. */
export function cacheFolder(): string {
  const [cache, home] = [Deno.env.get("XDG_CACHE_HOME"), Deno.env.get("HOME")];
  if (!cache && !home) throw new Error("Cannot find the cache: neither XDG_CACHE_HOME nor HOME is set");
  return `${cache || `${home}/.cache`}/data-spacer`;
}

/** Whether something stands at `path`. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Runs `make` as the only process on this machine that holds the lock `name`. The kernel frees the lock when its holder ends,
 * however it ends. `waiting` is called at the start of a wait and then every 10 s, with the ms waited so far.
 */
export async function withLock<T>(
  name: string,
  make: () => Promise<T>,
  waiting: (ms: number) => void = () => {},
): Promise<T> {
  await Deno.mkdir(cacheFolder(), { recursive: true });
  using file = await Deno.open(`${cacheFolder()}/${name}.lock`, { create: true, write: true });
  const start = performance.now();
  for (let next = 0; !await file.tryLock(true);) {
    const waited = performance.now() - start;
    if (waited >= next) {
      waiting(waited);
      next += 10_000;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return await make();
}

/**
 * Fills the folder `final` by `make`, which gets a temporary one beside it: `final` is there whole or not at all.
 * What an interrupted run left behind is removed. Call it under a lock.
 */
export async function makeFolder(final: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${final}.unfinished`;
  await Deno.remove(temporary, { recursive: true }).catch(() => {});
  await Deno.mkdir(temporary, { recursive: true });
  await make(temporary);
  await Deno.rename(temporary, final);
}
