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
