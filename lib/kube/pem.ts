/** Each certificate of a PEM text. */
export const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * The certificates of a PEM text, each by itself: Deno reads only the first one of a text (2.9.6, seen), and a cluster that changes its authority
 * has two. A text without any is left whole, for Deno to say what is wrong with it.
 */
export function certificatesOf(pem: string): string[] {
  return pem.match(CERTIFICATE) ?? [pem];
}
