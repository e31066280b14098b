import "reflect-metadata";
import * as x509 from "@peculiar/x509";

/** A certificate and its key, PEM. */
export interface KeyPair {
  /** The certificate. */
  cert: string;
  /** Its private key, PKCS 8. */
  key: string;
}

/** Who a certificate is for. */
export interface Subject {
  /** Common name: the user name, for a client. */
  name: string;
  /** Organisations: the groups, for a client. */
  groups?: string[];
  /** Names and addresses of a server; makes it a server's certificate. */
  hosts?: string[];
}

const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const HOUR = 3_600_000;

/** A certificate authority for one test cluster. */
export class Authority {
  /** Certificate of the authority, PEM. */
  readonly ca: string;
  readonly #keys: CryptoKeyPair;
  readonly #name: string;

  private constructor(certificate: x509.X509Certificate, keys: CryptoKeyPair) {
    this.ca = pem("CERTIFICATE", certificate.rawData);
    this.#name = certificate.subject;
    this.#keys = keys;
  }

  /** An authority with a new key. */
  static async create(): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      ...validity(),
      name: "CN=test-cluster-ca",
      serialNumber: serial(),
      keys,
      signingAlgorithm: EC,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      ],
    });
    return new Authority(certificate, keys);
  }

  /** A certificate for a server, if the subject has hosts, else for a client. */
  async issue(subject: Subject): Promise<KeyPair> {
    const { name, groups = [], hosts } = subject;
    const keys = await newKeys();
    const use = hosts ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
    const names = (hosts ?? []).map((value) => ({
      type: /^[\d.]+$|:/.test(value) ? "ip" as const : "dns" as const,
      value,
    }));
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity(),
      subject: [...groups.map((group) => ({ O: [group] })), { CN: [name] }],
      issuer: this.#name,
      serialNumber: serial(),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: EC,
      extensions: [
        new x509.BasicConstraintsExtension(false),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([use]),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
      ],
    });
    return { cert: pem("CERTIFICATE", certificate.rawData), key: await privatePem(keys) };
  }
}

/** A key pair to sign and check ServiceAccount tokens with; PEM. */
export async function tokenKeys(): Promise<{ privateKey: string; publicKey: string }> {
  const keys = await newKeys();
  return {
    privateKey: await privatePem(keys),
    publicKey: pem("PUBLIC KEY", await crypto.subtle.exportKey("spki", keys.publicKey)),
  };
}

async function newKeys(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(EC, true, ["sign", "verify"]);
}

async function privatePem(keys: CryptoKeyPair): Promise<string> {
  return pem("PRIVATE KEY", await crypto.subtle.exportKey("pkcs8", keys.privateKey));
}

function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - HOUR), notAfter: new Date(Date.now() + 30 * 24 * HOUR) };
}

/** 15 random bytes, the first below 0x80: positive as an ASN.1 integer. */
function serial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(15));
  bytes[0]! &= 0x7f;
  bytes[0]! |= 0x40;
  return bytes.toHex();
}

function pem(label: string, der: ArrayBuffer): string {
  const lines = new Uint8Array(der).toBase64().match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
