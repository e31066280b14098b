import type { X509Certificate } from "@peculiar/x509";
import { BACKDATE_MS } from "../core/certificate_plan.ts";

/** A certificate authority that can sign. */
export interface Authority {
  /** PEM. */
  cert: string;
  /** PKCS 8, PEM. */
  key: string;
}

/** What {@linkcode CertificateMaker} needs to know of a certificate that it makes. */
export interface Validity {
  /** The time of making, ms since 1970; the certificate is valid from an hour before. */
  nowMs: number;
  /** Valid for this long from now, ms. */
  lifetimeMs: number;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** Common name of each authority: tells ours from others in a `caBundle`. */
export const AUTHORITY_NAME = "data-spacer webhook CA";

type Library = typeof import("@peculiar/x509");

/** Makes authorities and the certificates below them: ECDSA P-256. */
export class CertificateMaker {
  readonly #library: Library;

  private constructor(library: Library) {
    this.#library = library;
  }

  /** Loads the X.509 library: 90 ms of CPU, so not at import, and best beside other work. */
  static async load(): Promise<CertificateMaker> {
    await import("reflect-metadata"); // the library throws without it
    const library = await import("@peculiar/x509");
    library.cryptoProvider.set(crypto);
    return new CertificateMaker(library);
  }

  /** A new authority that may sign leaves only. */
  async authority(validity: Validity): Promise<Authority> {
    const x509 = this.#library;
    const keys = await newKeys();
    const cert = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: `CN=${AUTHORITY_NAME}`,
      ...period(validity),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return { cert: cert.toString("pem"), key: await this.#pem(keys.privateKey) };
  }

  /** A server's certificate for `names`, host names and IP addresses; it ends with its authority at the latest. */
  async leaf(authority: Authority, options: Validity & { names: readonly string[] }): Promise<Authority> {
    const x509 = this.#library;
    const issuer = new x509.X509Certificate(authority.cert);
    const [keys, signingKey] = await Promise.all([newKeys(), this.#privateKey(authority.key)]);
    const cert = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: [{ CN: [commonName(options.names)] }],
      issuer: issuer.subject,
      ...within(issuer, period(options)),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          options.names.map((value) => ({ type: isAddress(value) ? "ip" as const : "dns" as const, value })),
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ],
    });
    return { cert: cert.toString("pem"), key: await this.#pem(keys.privateKey) };
  }

  async #pem(key: CryptoKey): Promise<string> {
    return this.#library.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY") + "\n";
  }

  #privateKey(pem: string): Promise<CryptoKey> {
    const der = this.#library.PemConverter.decodeFirst(pem);
    return crypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
  }
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function period({ nowMs, lifetimeMs }: Validity): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - BACKDATE_MS), notAfter: new Date(nowMs + lifetimeMs) };
}

function within(issuer: X509Certificate, { notBefore, notAfter }: { notBefore: Date; notAfter: Date }) {
  return { notBefore, notAfter: notAfter < issuer.notAfter ? notAfter : issuer.notAfter };
}

/** 127 random bits: positive, as RFC 5280 asks. */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0]! &= 0x7f;
  return bytes.toHex();
}

/** X.509 allows 64 characters in a common name; nobody reads it beside the alternative names. */
function commonName(names: readonly string[]): string {
  return (names[0] ?? "webhook").slice(0, 64);
}

/** Whether a name is an IP address, not a host name. */
export function isAddress(name: string): boolean {
  return name.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
}
