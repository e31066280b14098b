/** What the records of a client say about its TLS handshake. */
export type HandshakeProgress = "started" | "done" | "not-tls";

const CHANGE_CIPHER_SPEC = 20;
const APPLICATION_DATA = 23;
const HANDSHAKE = 22;
const HEADER = 5;

/** The longest record that RFC 8446 and RFC 5246 allow, bytes. */
const MAX_RECORD = 16_384 + 2_048;

/**
 * Follows the TLS records that a client sends, until the first of application data: that is its last handshake message in
 * TLS 1.3, and its first request in TLS 1.2. It looks at headers alone, and trusts them only to tell slow clients: the
 * listener behind it does the real checking.
 */
export class HandshakeWatcher {
  /** Bytes of the current record's header that have come. */
  readonly #header = new Uint8Array(HEADER);
  #have = 0;
  /** Bytes of the current record's body that are still to come. */
  #left = 0;
  #progress: HandshakeProgress = "started";

  /** Looks at the next bytes; answers for all that came so far. */
  push(bytes: Uint8Array): HandshakeProgress {
    let at = 0;
    while (this.#progress === "started" && at < bytes.length) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.length - at);
        this.#left -= skipped;
        at += skipped;
      } else {
        this.#header[this.#have++] = bytes[at++]!;
        if (this.#have === 1) this.#progress = progressOf(this.#header[0]!);
        if (this.#have === HEADER) this.#endHeader();
      }
    }
    return this.#progress;
  }

  #endHeader(): void {
    this.#have = 0;
    this.#left = this.#header[3]! << 8 | this.#header[4]!;
    if (this.#header[1] !== 3 || this.#left > MAX_RECORD) this.#progress = "not-tls";
  }
}

function progressOf(recordType: number): HandshakeProgress {
  if (recordType === APPLICATION_DATA) return "done";
  return recordType >= CHANGE_CIPHER_SPEC && recordType <= HANDSHAKE ? "started" : "not-tls";
}
