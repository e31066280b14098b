/** A part of a text that is all ASCII: as a string, or as bytes where it is kept for many texts. */
export type AsciiPart = string | Uint8Array;

const ASCII = /^[\0-\x7f]*$/;
const NOT_ASCII = /[^\0-\x7f]/g;

/** JSON that is all ASCII: other characters stand in strings only, where they may be escaped. */
export function asciiJson(json: string): string {
  if (ASCII.test(json)) return json;
  return json.replace(NOT_ASCII, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const encoder = new TextEncoder();

/** The bytes of a text in parts. Long parts that are bytes already cost a third of what a string of them would. */
export function joinAscii(parts: readonly AsciiPart[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    if (typeof part === "string") encoder.encodeInto(part, bytes.subarray(at));
    else bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
