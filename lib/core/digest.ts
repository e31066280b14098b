import { createHash } from "node:crypto";

/** JSON with the keys of every object in order, so that equal content gives equal text. Absent and undefined are the same. */
export function canonicalJson(value: unknown, text: (value: string) => string = JSON.stringify): string {
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null, text)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const record = value as Record<string, unknown>;
  const members = Object.keys(record).filter((key) => record[key] !== undefined).sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(record[key], text)}`);
  return `{${members.join(",")}}`;
}

/** A text from this length on stands in a digest by its own hash. */
const LONG = 512;

/** Hashes of long texts are remembered up to this length, and up to this number: most objects hold the same few. */
const REMEMBERED = { length: 1 << 16, texts: 16 };
const remembered = new Map<string, string>();

/**
 * A short text that is equal for equal content (as {@linkcode canonicalJson} knows it) and for no other. Of thousands of objects
 * that hold the same long texts it reads each text once and then only compares it.
 */
export function digest(value: unknown): string {
  return sha256(canonicalJson(value, longTextsHashed));
}

/** No JSON, so that no content can be mistaken for the hash of another. */
function longTextsHashed(text: string): string {
  return text.length < LONG ? JSON.stringify(text) : `#${hashOf(text)}`;
}

function hashOf(text: string): string {
  const known = remembered.get(text);
  if (known !== undefined) return known;
  const hash = sha256(text);
  if (text.length > REMEMBERED.length) return hash;
  if (remembered.size === REMEMBERED.texts) remembered.delete(remembered.keys().next().value!);
  remembered.set(text, hash);
  return hash;
}

/** SHA-256 of a text, in base64. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
