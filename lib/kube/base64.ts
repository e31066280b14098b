/** A text as UTF-8 in base64: how Secrets and `caBundle`s hold it. */
export function encodeText(text: string): string {
  return new TextEncoder().encode(text).toBase64();
}

/** The text that {@linkcode encodeText} has encoded; undefined if it is not base64. */
export function decodeText(base64: string): string | undefined {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(base64));
  } catch {
    return undefined;
  }
}
