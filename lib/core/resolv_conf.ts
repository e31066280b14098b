/** Addresses of the name servers in a resolv.conf (resolv.conf(5)), zone ids left off; comments and other lines are passed over. */
export function nameservers(text: string): string[] {
  const found = text.split("\n").flatMap((line) =>
    /^nameserver[ \t]+([0-9a-fA-F.:]+)(?=[\s%#;]|$)/.exec(line)?.[1] ?? []
  );
  return [...new Set(found)];
}
