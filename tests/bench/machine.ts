import { findGo } from "../cluster/toolchain.ts";
import { ETCD } from "../cluster/versions.ts";

/** What the figures depend on besides our code, one fact a line. */
export async function describeMachine(release: string): Promise<string[]> {
  const cpu = await fact("cpuinfo", /^model name\s*: (.*)$/m);
  const memory = Number(await fact("meminfo", /^MemTotal:\s*(\d+) kB$/m)) / 2 ** 20;
  const { deno, v8 } = Deno.version;
  const go = await findGo();
  return [
    `${navigator.hardwareConcurrency} cores of ${cpu}, ${memory.toFixed(0)} GiB, Linux ${Deno.osRelease()}`,
    `Deno ${deno} (V8 ${v8}), Kubernetes ${release}, etcd ${ETCD.slice(1)} without fsync, Go ${go.version}`,
  ];
}

/** Load of the machine over the last minute: processes that run or want to. */
export function load(): number {
  return Deno.loadavg()[0]!;
}

/** CPU time that a process has used, all its threads, seconds. */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readProc(`${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100; // in ticks, 100 a second on every Linux
}

/** Memory of a process now, the most that it had, and what of it no other process shares with it, like its program's file; MiB. */
export async function memory(pid: number): Promise<{ now: number; peak: number; own: number }> {
  const status = `${pid}/status`;
  const mebibytes = async (key: string): Promise<number> =>
    Number(await fact(status, new RegExp(`^${key}:\\s*(\\d+) kB$`, "m"))) / 1_024;
  return { now: await mebibytes("VmRSS"), peak: await mebibytes("VmHWM"), own: await mebibytes("RssAnon") };
}

/** Keeps a process, all threads of it, on one core, or on some, separated by commas. */
export async function pin(pid: number, core: number | string): Promise<void> {
  await output(["taskset", "-acp", `${core}`, `${pid}`]);
}

async function fact(file: string, pattern: RegExp): Promise<string> {
  return pattern.exec(await readProc(file))?.[1] ?? "unknown";
}

/** By a program of its own: Deno opens /proc only to whom everything is allowed. */
function readProc(file: string): Promise<string> {
  return output(["cat", `/proc/${file}`]);
}

async function output([program, ...args]: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program!, { args }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`Cannot run "${program} ${args.join(" ")}": ${text.decode(stderr)}`);
  return text.decode(stdout);
}
