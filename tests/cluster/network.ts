import type { Processes } from "./processes.ts";

// Below the ephemeral range (32768 and up), so that no outgoing connection takes the port while its server restarts.
const PORTS = { first: 20_000, count: 12_000 };
const taken = new Set<number>();

/** A TCP port on which nothing listens on 127.0.0.1, never given twice by one process. */
export function freePort(): number {
  for (let tries = 0; tries < 1_000; tries++) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (taken.has(port)) continue;
    try {
      Deno.listen({ hostname: "0.0.0.0", port }).close();
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) continue;
      throw error;
    }
    taken.add(port);
    return port;
  }
  throw new Error(`Cannot find a free port from ${PORTS.first} to ${PORTS.first + PORTS.count - 1}`);
}

/**
 * Makes a veth pair with a random address of its own and has `processes` remove it at the end. kube-apiserver speaks HTTP/2 to
 * loopback addresses and HTTP/1.1, as in production, to all others: so webhooks under test listen on this one. Nothing
 * outside the machine can reach it.
 *
 * @throws {Error} without the right to do so, or without `ip`.
 */
export async function makeVeth(processes: Processes): Promise<string> {
  for (let tries = 0; tries < 20; tries++) {
    const id = crypto.getRandomValues(new Uint16Array(1))[0]!;
    const name = `ds${id.toString(16).padStart(4, "0")}`;
    const address = `10.201.${id >> 8}.${id & 0xfc | 1}`; // the first address of one of the 16,384 /30 networks
    if ((await ip("-o", "addr", "show", "to", `${address}/30`)) !== "") continue;
    try {
      await ip("link", "add", `${name}a`, "type", "veth", "peer", "name", `${name}b`);
    } catch (error) {
      if (/File exists/.test(String(error))) continue;
      throw error;
    }
    await processes.atEnd(`ip link delete ${name}a`);
    await ip("addr", "add", `${address}/30`, "dev", `${name}a`);
    for (const end of ["a", "b"]) await ip("link", "set", `${name}${end}`, "up");
    return address;
  }
  throw new Error("Cannot make a veth pair: no free network found in 10.201.0.0/16");
}

async function ip(...args: string[]): Promise<string> {
  const command = `ip ${args.join(" ")}`;
  const why = "the webhooks under test need a veth pair: run as root (CAP_NET_ADMIN) with the package iproute2";
  const output = await new Deno.Command("ip", { args }).output().catch((cause) => {
    throw new Error(`Cannot run "${command}": ${why}`, { cause });
  });
  if (output.success) return new TextDecoder().decode(output.stdout);
  throw new Error(`Cannot run "${command}": ${new TextDecoder().decode(output.stderr).trim()}; ${why}`);
}
