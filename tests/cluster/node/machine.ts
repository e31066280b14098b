/** What a node might leave on the machine, each kind as sorted lines. */
export type Snapshot = Record<string, string[]>;

/** Commands that print one kind each. */
const LOOKS: Record<string, string> = {
  mounts: "cat /proc/mounts",
  cgroups: "find /sys/fs/cgroup -type d",
  "named network namespaces": "ip netns list",
  links: "ip -o link show | cut -d' ' -f2",
  addresses: "ip -o address show | sed 's/valid_lft.*//'",
  routes: "ip route show table all; ip -6 route show table all | sed 's/ expires .*//'",
  rules: "ip rule; ip -6 rule",
  neighbours: "ip neighbour show | grep -o 'dev [^ ]*' | sort -u",
  // those that can be written; the excepted one changes by itself
  sysctls: "find /proc/sys -type f -perm -u+rw ! -name ns_last_pid -exec grep -H '' {} +",
  "iptables nft": "(iptables-nft-save; ip6tables-nft-save) | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'",
  "iptables legacy": "(iptables-legacy-save; ip6tables-legacy-save) | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'",
  "IP sets": "ipset list -name",
  "Unix sockets": "cut -d' ' -f8 /proc/net/unix | grep -E 'containerd|kubelet|calico|dsnode'",
  // but the lock file that a look at iptables makes
  folders:
    "ls -d /* /etc/* /etc/cni/* /opt/* /run/* /usr/libexec/* /usr/local/* /var/* /var/lib/* /var/log/* | grep -v xtables",
  "temporary files": "ls -d /tmp/* | grep -E 'containerd|ctr|kube|calico|felix|coredns'",
};

/** Links of control planes without a node (network.ts), which may run beside this test. */
const OTHERS = /\bds[0-9a-f]{4}[ab]\b/;

/**
 * Looks at the machine. What belongs to other nodes and other tests is left out.
 *
 * @param own names of the nodes under test.
 */
export async function lookAtMachine(own: string[]): Promise<Snapshot> {
  const foreign = (line: string) =>
    OTHERS.test(line) || (line.match(/\bdsnode\d+/g) ?? []).some((name) => !own.includes(name));
  const entries = Object.entries(LOOKS).map(async ([kind, script]) => {
    const lines = (await output("sh", ["-c", script])).split("\n").filter((line) => line !== "" && !foreign(line));
    return [kind, lines.sort()] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** What is in one of the snapshots only: `+ …` lines came, `- …` lines went. Empty when nothing did. */
export function difference(before: Snapshot, after: Snapshot): Snapshot {
  const changes = Object.keys(before).map((kind) => {
    const [old, now] = [new Set(before[kind]), new Set(after[kind])];
    const lines = [...now.difference(old)].map((line) => `+ ${line}`);
    return [kind, [...lines, ...[...old.difference(now)].map((line) => `- ${line}`)]] as [string, string[]];
  });
  return Object.fromEntries(changes.filter(([, lines]) => lines.length > 0));
}

/** A process: its id, when it started (so that the id means no other), and its command line. */
export interface Process {
  /** `PID TICKS`. */
  id: string;
  /** Arguments, separated by blanks. */
  command: string;
}

/** Processes of a node: those in its namespaces, those whose command line names its folder, and what descends from them. */
export async function processesOf(folder: string): Promise<Process[]> {
  const first = (await Deno.readTextFile(`${folder}/first-process`).catch(() => "")).split(" ")[0]!;
  const [all, own] = await Promise.all([listProcesses(), namespaces(`/proc/${first || "none"}`)]);
  const found = new Map<string, Process>();
  for (let before = -1; found.size > before;) {
    before = found.size;
    for (const { id, parent, command, names } of all) {
      const belongs = command.includes(`${folder}/`) || names.some((name) => own.includes(name)) || found.has(parent);
      if (belongs) found.set(id.split(" ")[0]!, { id, command });
    }
  }
  return [...found.values()];
}

/** Which of the processes still live. */
export async function alive(processes: Process[]): Promise<Process[]> {
  const ids = (await listProcesses()).map(({ id }) => id);
  return processes.filter(({ id }) => ids.includes(id));
}

/** One line each: id, parent, start; then namespaces; then arguments. */
const LIST = `for p in /proc/[0-9]*; do
  echo "$(basename $p) $(sed 's/.*) //' $p/stat | cut -d' ' -f2,20)|\\
$(readlink $p/ns/pid $p/ns/mnt $p/ns/net | tr '\\n' ' ')|$(tr '\\0' ' ' < $p/cmdline)"
done`;

async function listProcesses(): Promise<(Process & { parent: string; names: string[] })[]> {
  return (await output("sh", ["-c", LIST])).split("\n").filter((line) => line !== "").map((line) => {
    const [numbers = "", names = "", command = ""] = line.split("|");
    const [pid, parent = "", start] = numbers.split(" ");
    return { id: `${pid} ${start}`, parent, names: names.trim().split(" "), command };
  });
}

async function namespaces(process: string): Promise<string[]> {
  const names = await output("readlink", ["pid", "mnt", "net"].map((kind) => `${process}/ns/${kind}`));
  return names.split("\n").filter((name) => name !== "");
}

async function output(command: string, args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args, stdin: "null", stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}
