import { createPrivateKey, X509Certificate } from "node:crypto";
import { timeOf } from "./certificates.ts";
import { isAddress } from "./x509.ts";

/** A server's certificate and its key. */
export interface KeyPair {
  /** The certificate, then those between it and the authority; PEM. */
  cert: string;
  /** PEM. */
  key: string;
  /** The end of the certificate's validity, ms since 1970. */
  notAfter: number;
}

/** Where the certificate of the webhook comes from. */
export interface CertificateSource {
  /**
   * The pairs to serve: the first as soon as there is one, then each that replaces it. The source's upkeep happens
   * while the next pair is awaited, so keep asking. Faults are logged and tried again; it ends with the signal.
   */
  pairs(signal: AbortSignal): AsyncIterable<KeyPair>;
}

/** What {@linkcode checkPair} checks a pair for. */
export interface PairUse {
  /** The host name, or IP address, that API servers call. */
  host: string;
  /** ms since 1970. */
  nowMs: number;
}

/**
 * The pair, if a server can use it now. `Deno.serve` checks little, and its clients would find out.
 *
 * @throws {TypeError} if a part cannot be read, or the two do not belong together.
 * @throws {RangeError} if the certificate is for another host or another time.
 */
export function checkPair(cert: string, key: string, use: PairUse): KeyPair {
  const leaf = parse("certificate", () => new X509Certificate(cert)); // the first of a chain
  const privateKey = parse("private key", () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new TypeError("Cannot use certificate: the private key is another certificate's");
  }
  if ((isAddress(use.host) ? leaf.checkIP(use.host) : leaf.checkHost(use.host)) === undefined) {
    throw new RangeError(`Cannot use certificate: it must be for "${use.host}", but is for ${leaf.subjectAltName}`);
  }
  const notAfter = timeOf(leaf.validTo);
  if (use.nowMs < timeOf(leaf.validFrom) || use.nowMs >= notAfter) {
    throw new RangeError(`Cannot use certificate: it is valid from ${leaf.validFrom} to ${leaf.validTo}`);
  }
  return { cert, key, notAfter };
}

function parse<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new TypeError(`Cannot use certificate: the ${what} is not PEM that can be read`, { cause });
  }
}
