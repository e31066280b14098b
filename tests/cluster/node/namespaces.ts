import { cacheFolder } from "../cache.ts";
import { onlyChild, type Processes, until } from "../processes.ts";
import type { Addresses } from "./addresses.ts";
import { recordProcess } from "./number.ts";
import type { NodePrograms } from "./programs.ts";

const SCRIPT = decodeURIComponent(new URL("node.sh", import.meta.url).pathname);
/** Where Debian's package puts the CNI plugins. */
const PLUGINS = "/usr/lib/cni";

/** Folders that a node's folder begins with. */
const FOLDERS = ["bin", "cni", "cni-bin", "tmp", "hidden/var/lib", "hidden/var/log", "logs"];
/** Those that must be there where they are hidden from the host, besides. */
const HIDDEN = ["var/lib/calico", "var/lib/cni", "var/lib/kubelet", "var/log/containers"];

/** Makes the folders, and links by the names under which the programs are called. */
export async function prepareFolder(folder: string, programs: NodePrograms): Promise<void> {
  for (const name of [...FOLDERS, ...HIDDEN.map((hidden) => `hidden/${hidden}`)]) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
  }
  const plugins = await Array.fromAsync(Deno.readDir(PLUGINS));
  const links = {
    "bin/calico-felix": programs.calico,
    "bin/kubectl": programs.kubectl,
    "cni-bin/calico": programs.calico,
    ...Object.fromEntries(plugins.map(({ name }) => [`cni-bin/${name}`, `${PLUGINS}/${name}`])),
  };
  for (const [name, target] of Object.entries(links)) await Deno.symlink(target, `${folder}/${name}`);
}

/**
 * Makes the namespaces of a node, with a first process that only holds them, and its network: a link to the host, which routes the
 * addresses of Pods and Services over it.
 *
 * @returns id of that process, on the host.
 */
export async function startNamespaces(
  processes: Processes,
  addresses: Addresses,
  programs: NodePrograms,
): Promise<number> {
  const { folder } = processes;
  const kinds = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--ipc"];
  const script = ["sh", SCRIPT, addresses.name, folder, cacheFolder(), programs.pause];
  const outer = await processes.start("node", { command: ["unshare", ...kinds, ...script] });
  const first = await onlyChild(outer);
  await recordProcess(`${folder}/first-process`, first);
  await connect(first, addresses);
  await until(async () => {
    if (await Deno.readTextFile(`${folder}/node-started`).catch(() => "")) return true;
    const code = await processes.exitCode("node");
    if (code !== undefined) throw new Error(`Cannot start a node: ${await processes.logTail("node")}`);
  }, { ms: 20_000, what: "node" });
  return first;
}

/** What runs a command in the namespaces that the process `first` holds. Such a command has no variables but these. */
export function entering(first: number, folder: string): string[] {
  const path = `${folder}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  const variables = [`PATH=${path}`, `HOME=${folder}/tmp`, `TMPDIR=${folder}/tmp`];
  return ["nsenter", "-t", `${first}`, "-m", "-p", "-n", "-u", "-i", "--", "env", "-i", ...variables];
}

async function connect(first: number, addresses: Addresses): Promise<void> {
  const { name, host, node, linkPrefix, pods, services } = addresses;
  await run(
    ["ip", "-batch", "-"],
    `link add ${name} type veth peer name eth0 netns ${first}
address add ${host.v4}/${linkPrefix.v4} dev ${name}
address add ${host.v6}/${linkPrefix.v6} dev ${name} nodad
link set ${name} up`,
  );
  const inside = ["nsenter", "-t", `${first}`, "-n"];
  await run(
    [...inside, "ip", "-batch", "-"],
    `link set lo up
address add ${node.v4}/${linkPrefix.v4} dev eth0
address add ${node.v6}/${linkPrefix.v6} dev eth0 nodad
link set eth0 up
route add default via ${host.v4}
route add default via ${host.v6}`,
  );
  const routes = [[services, "v4"], [pods, "v4"], [services, "v6"], [pods, "v6"]] as const;
  await run(
    ["ip", "-batch", "-"],
    routes.map(([range, family]) => `route add ${range[family]} via ${node[family]} dev ${name}`).join("\n"),
  );
  const forward = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
  await run([...inside, "sh", "-ec", forward]);
}

async function run([command, ...args]: string[], stdin = ""): Promise<void> {
  const child = new Deno.Command(command!, { args, stdin: "piped", stdout: "null", stderr: "piped" }).spawn();
  const input = new Blob([`${stdin}\n`]).stream().pipeTo(child.stdin).catch(() => {});
  const { success, stderr } = await child.output();
  await input;
  if (success) return;
  throw new Error(
    `Cannot connect a node: "${command} ${args.join(" ")}" said ${new TextDecoder().decode(stderr).trim()}`,
  );
}
