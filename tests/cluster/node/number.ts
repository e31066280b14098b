import { cacheFolder, exists, withLock } from "../cache.ts";
import { Processes } from "../processes.ts";
import { type Addresses, addressesOf, NUMBERS } from "./addresses.ts";

/** A node's number, held until the processes are disposed of, or their guard has died. */
export interface Claim {
  /** What follows from the number. */
  addresses: Addresses;
  /** The node's processes and folder: `node/NUMBER` in the cache. */
  processes: Processes;
}

/** Name of the lock that whoever claims a number holds meanwhile. */
export const CLAIMING = "node-numbers";

const DOWN = decodeURIComponent(new URL("down.sh", import.meta.url).pathname);

/**
 * Claims a number that nobody uses, and an empty folder with it. Before, all is removed that belongs to owners who died without
 * doing so themselves.
 *
 * @throws {Error} where all numbers are in use.
 */
export async function claimNumber(log: (line: string) => void): Promise<Claim> {
  return await withLock(CLAIMING, async () => {
    const free: Addresses[] = [];
    for (let number = 1; number <= NUMBERS; number++) {
      const addresses = addressesOf(number);
      const folder = folderOf(number);
      if (await exists(folder)) {
        if (await isAlive(`${folder}/owner`)) continue;
        log(`Removing what is left of ${addresses.name}, whose owner has died`);
        await removeLeftovers(folder, addresses.name);
      }
      free.push(addresses);
    }
    for (const addresses of free) if (!await overlaps(addresses)) return await claim(addresses);
    throw new Error(
      `Cannot start a node: all ${NUMBERS} numbers are in use, or their addresses belong to other networks`,
    );
  });
}

function folderOf(number: number): string {
  return `${cacheFolder()}/node/${number}`;
}

async function claim(addresses: Addresses): Promise<Claim> {
  const folder = folderOf(Number(addresses.name.replace(/\D/g, "")));
  await Deno.mkdir(folder, { recursive: true });
  const processes = await Processes.in(folder); // from here on the guard removes the folder if we die
  await recordProcess(`${folder}/owner`, processes.guard);
  await Deno.copyFile(DOWN, `${folder}/down.sh`); // ours may be gone by then
  await processes.beforeEnd(`sh ./down.sh "$PWD" ${addresses.name}`);
  return { addresses, processes };
}

/** Writes a process down, with the time at which it started: its id alone may come to mean another one. */
export async function recordProcess(file: string, pid: number): Promise<void> {
  await Deno.writeTextFile(`${file}.new`, `${pid} ${await startTime(pid)}\n`);
  await Deno.rename(`${file}.new`, file);
}

async function isAlive(file: string): Promise<boolean> {
  const [pid, start] = (await Deno.readTextFile(file).catch(() => "")).trim().split(" ");
  return start !== undefined && start !== "" && start === await startTime(Number(pid));
}

/** When a process started, in ticks since the machine did; empty if there is no such process. */
async function startTime(pid: number): Promise<string> {
  const script = `sed 's/.*) //' "/proc/$0/stat" | cut -d' ' -f1,20`;
  const [state, start = ""] = (await shell(script, `${pid}`)).split(" ");
  return state === "Z" ? "" : start;
}

async function removeLeftovers(folder: string, name: string): Promise<void> {
  const { success, stdout } = await new Deno.Command("sh", { args: [DOWN, folder, name] }).output();
  if (!success) throw new Error(`Cannot start a node: ${new TextDecoder().decode(stdout).trim()}`);
  for (let tries = 1;; tries++) { // those who waited for the node's processes may still write how they ended
    try {
      await Deno.remove(folder, { recursive: true });
      return;
    } catch (error) {
      if (tries === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Whether some other network of the machine has addresses of these. */
async function overlaps({ name, node, linkPrefix, pods, services }: Addresses): Promise<boolean> {
  const v4 = [`${node.v4}/${linkPrefix.v4}`, pods.v4, services.v4];
  const v6 = [`${node.v6}/${linkPrefix.v6}`, pods.v6, services.v6];
  const looks = [...v4.map((range) => `-4 ${range}`), ...v6.map((range) => `-6 ${range}`)].flatMap((range) =>
    ["root", "match"].map((relation) => range.replace(" ", ` route show ${relation} `))
  );
  const script = `ip link show ${name}; ${looks.map((look) => `ip ${look}`).join("; ")}`;
  return (await shell(script)).split("\n").some((line) => line !== "" && !line.startsWith("default"));
}

/** What a script prints; its failures do not matter. */
async function shell(script: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script, ...args], stderr: "null" }).output();
  return new TextDecoder().decode(stdout).trim();
}
