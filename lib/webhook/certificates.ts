import { createPrivateKey, X509Certificate } from "node:crypto";
import type { AuthorityFacts } from "../core/certificate_plan.ts";
import { CERTIFICATE } from "../kube/pem.ts";
import { AUTHORITY_NAME } from "./x509.ts";

/** A certificate that was read. Times are ms since 1970. */
export interface Certificate extends AuthorityFacts {
  /** In its canonical form. */
  pem: string;
  /** An authority that we, or another replica, made. */
  isOurs: boolean;
}

/** The certificates in a PEM text, and whether there is anything else in it. */
export function readCertificates(pem: string): { certificates: Certificate[]; rest: boolean } {
  const certificates: Certificate[] = [];
  let rest = pem.replaceAll(CERTIFICATE, "").trim() !== "";
  for (const [block] of pem.matchAll(CERTIFICATE)) {
    try {
      certificates.push(read(block));
    } catch {
      rest = true; // not a certificate, whatever it says
    }
  }
  return { certificates, rest };
}

/** Whether `key` (PEM) belongs to `certificate`. */
export function isKeyOf(key: string, certificate: Certificate): boolean {
  try {
    return new X509Certificate(certificate.pem).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false; // not a key
  }
}

function read(block: string): Certificate {
  const x509 = new X509Certificate(block);
  const der = new Uint8Array(x509.raw);
  const base64 = der.toBase64().replaceAll(/.{64}(?=.)/g, "$&\n");
  return {
    id: x509.fingerprint256,
    notBefore: timeOf(x509.validFrom),
    notAfter: timeOf(x509.validTo),
    pem: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    isOurs: x509.ca && x509.subject === `CN=${AUTHORITY_NAME}` && x509.issuer === x509.subject,
  };
}

/** @throws {RangeError} if it is no date: then nothing about the certificate can be planned. */
export function timeOf(date: string): number {
  const time = Date.parse(date);
  if (Number.isNaN(time)) throw new RangeError(`Cannot read certificate: "${date}" is no date`);
  return time;
}
