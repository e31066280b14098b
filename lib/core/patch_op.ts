import { asciiJson, type AsciiPart, joinAscii } from "./ascii.ts";

/** An operation of a JSON Patch (RFC 6902). */
export interface PatchOp {
  json: string;
  /** What `base64Part` makes of it, where the same operation goes into many pods. */
  base64?: Uint8Array;
}

/** Adds a value, or replaces the one that is there. `json` is the value's JSON. */
export function addition(path: string, json: string): PatchOp {
  return { json: `{"op":"add","path":"${path}","value":${json}}` };
}

/** An addition that goes into many pods. */
export function keptAddition(path: string, json: string): PatchOp {
  const op = addition(path, json);
  return { ...op, base64: joinAscii([base64Part(`${op.json},`)]) };
}

/** Removes a value. */
export function removal(path: string): PatchOp {
  return { json: `{"op":"remove","path":"${path}"}` };
}

/** Moves a value. */
export function move(from: string, path: string): PatchOp {
  return { json: `{"op":"move","from":"${from}","path":"${path}"}` };
}

/** Base64 of a part of a JSON text between two tokens, filled up with blanks so that such parts can be strung together. */
function base64Part(json: string): string {
  const text = asciiJson(json);
  // btoa: a quarter of the time of TextEncoder and toBase64 for texts of this length.
  return btoa(text + BLANKS[text.length % 3]!);
}

const BLANKS = ["", "  ", " "];

/** The operations as a JSON array in base64, in parts. What is kept encoded is not encoded again: most of a patch is the same for all pods. */
export function patchBase64(ops: readonly PatchOp[]): AsciiPart[] {
  const parts: AsciiPart[] = [];
  let open = "[";
  for (let i = 0; i < ops.length; i++) {
    const { json, base64 } = ops[i]!;
    const last = i === ops.length - 1;
    if (base64 === undefined || last) {
      open += last ? json : `${json},`;
      continue;
    }
    if (open !== "") parts.push(base64Part(open));
    parts.push(base64);
    open = "";
  }
  parts.push(base64Part(`${open}]`));
  return parts;
}
