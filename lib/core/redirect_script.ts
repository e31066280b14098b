import script from "../assets/redirect.sh" with { type: "text" };

/**
 * A shell script without what only its reader needs: lines that are comments, blank lines, indentation. It must hold no other `#` comments
 * and no text in which leading blanks or lines that begin with `#` matter; in `redirect.sh` the only such text is input of
 * iptables-restore, which ignores both.
 */
export function stripComments(text: string): string {
  const lines = text.split("\n").map((line) => line.trimStart()).filter((line) => line !== "" && !line.startsWith("#"));
  return lines.join("\n") + "\n";
}

/** The redirect rules' script as the init container runs it: the argument of `sh -c`. */
export const redirectScript: string = stripComments(script);

/** What the script is told, one field per parameter. */
export interface RedirectParameters {
  /** uid of the proxy, or what stands for it in a template. */
  proxyUid: number | string;
  /** Addresses of the cluster's DNS, IPv4 and IPv6. Empty: no DNS. */
  resolvers: readonly string[];
  /** Port that opened connections are redirected to. */
  outboundPort: number;
  /** Port that arriving connections are redirected to. */
  inboundPort: number;
  /** The one port that is reached without a redirect. */
  healthPort: number;
  /** Conntrack mark of the proxy's connections, `0x` and hex digits. */
  mark: string;
  /** iptables back end; `nft` falls back to `legacy` where the kernel has no nf_tables. */
  backend: "nft" | "legacy";
}

/** The arguments behind the script: its name, then every parameter as `key=value`. */
export function redirectArgs(p: RedirectParameters): string[] {
  return [
    "redirect",
    `proxy-uid=${p.proxyUid}`,
    `resolvers=${p.resolvers.join(",")}`,
    `outbound-port=${p.outboundPort}`,
    `inbound-port=${p.inboundPort}`,
    `health-port=${p.healthPort}`,
    `mark=${p.mark}`,
    `backend=${p.backend}`,
  ];
}
