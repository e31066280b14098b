/** An operation of a JSON Patch (RFC 6902). */
export interface PatchOp {
  json: string;
  /** What `base64Part` makes of it, where the same operation goes into many pods. */
  base64?: string;
}

/** An operation that goes into many pods. `json` is the value's JSON. */
export function keptAddition(path: string, json: string): PatchOp {
  const op = addition(path, json);
  return { ...op, base64: base64Part(`${op.json},`) };
}

/** Adds a value, or replaces the one that is there. `json` is the value's JSON. */
export function addition(path: string, json: string): PatchOp {
  return { json: `{"op":"add","path":"${path}","value":${json}}` };
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
  const text = ASCII.test(json)
    ? json
    : json.replace(NOT_ASCII, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  // btoa: a quarter of the time of TextEncoder and toBase64 for texts of this length.
  return btoa(text + BLANKS[text.length % 3]!);
}

const ASCII = /^[\0-\x7f]*$/;
const NOT_ASCII = /[^\0-\x7f]/g;
const BLANKS = ["", "  ", " "];

/** The operations as a JSON array in base64. What is kept encoded is not encoded again: most of a patch is the same for all pods. */
export function patchBase64(ops: readonly PatchOp[]): string {
  let encoded = "";
  let open = "[";
  for (const [i, op] of ops.entries()) {
    const last = i === ops.length - 1;
    if (op.base64 === undefined || last) {
      open += last ? op.json : `${op.json},`;
      continue;
    }
    encoded += base64Part(open) + op.base64;
    open = "";
  }
  return encoded + base64Part(`${open}]`);
}
