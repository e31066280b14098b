import { withLock } from "../cache.ts";
import { installMissing } from "../../support/debian_packages.ts";
import { lacksLinuxRoot } from "../../support/linux_root.ts";

/** What a node needs of the machine, each with the Debian package that brings it. */
export const COMMANDS: Record<string, string> = {
  "/bin/busybox": "busybox-static",
  "/usr/lib/cni/host-local": "containernetworking-plugins",
  conntrack: "conntrack",
  containerd: "containerd",
  ctr: "containerd",
  ip: "iproute2",
  ipset: "ipset",
  iptables: "iptables",
  "iptables-nft-restore": "iptables",
  nsenter: "util-linux",
  pgrep: "procps",
  runc: "runc",
  socat: "socat",
};

/** Why no node can run on this machine; absent where one can. */
export const missing: string | undefined = lacksLinuxRoot("a node needs");

/**
 * Installs what is missing, once on a machine.
 *
 * @throws {Error} naming the packages that could not be installed.
 */
export async function installPackages(log: (line: string) => void): Promise<void> {
  await withLock("packages", () => installMissing(COMMANDS, log));
}
