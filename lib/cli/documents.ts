import { parseDocument, type ParseOptions, type SchemaOptions, stringify, type Tags } from "yaml";

/** One document of a stream: its text as it stood, and what it says. */
export interface Document {
  /** Without separator. */
  text: string;
  /** Undefined for an empty document. */
  value: unknown;
  format: "yaml" | "json";
}

/**
 * YAML as kubectl reads it: version 1.1 (`0644` is octal, `yes` is true), but for times and numbers to base 60, which stay text.
 * Source: go-yaml v2, resolve.go, and sigs.k8s.io/yaml.
 */
const AS_KUBECTL: ParseOptions & SchemaOptions & { version: "1.1" } = {
  version: "1.1",
  customTags: (tags: Tags) =>
    tags.filter((tag) => typeof tag === "string" || (tag.format !== "TIME" && !tag.tag.endsWith(":timestamp"))),
};

/** Text that a reader of either YAML version reads in the same way. */
const FOR_ALL = { version: "1.2", compat: "yaml-1.1", lineWidth: 0, aliasDuplicateObjects: false } as const;

/**
 * Reads a stream of YAML documents, of JSON documents, or of both.
 *
 * @throws {SyntaxError} with the number of the document that cannot be read, and why.
 */
export function readDocuments(source: string): Document[] {
  // A line that begins with --- ends a document even inside a block scalar (YAML 1.2, 9.1.2).
  const texts = source.replace(/^\uFEFF/, "").split(/^---(?=\s|$)(?:[ \t]*(?:#.*)?\r?\n|[ \t])?/m).flatMap(splitJson);
  return texts.filter((text) => text.trim() !== "").map(readDocument);
}

function readDocument(text: string, index: number): Document {
  if (isJson(text)) {
    try {
      return { text, value: JSON.parse(text), format: "json" };
    } catch {
      // A flow mapping of YAML begins with a brace too.
    }
  }
  try {
    const document = parseDocument(text, AS_KUBECTL);
    const problem = document.errors[0];
    if (problem !== undefined) throw problem;
    return { text, value: document.toJS() ?? undefined, format: "yaml" };
  } catch (cause) {
    throw new SyntaxError(`document ${index + 1}: ${(cause as Error).message.trimEnd()}`, { cause });
  }
}

function isJson(text: string): boolean {
  return text.trimStart().startsWith("{");
}

/** Levels of a document. The API server takes 10,000, but no object has that many, and our stack ends before. */
const MAX_DEPTH = 500;

/**
 * Splits `{…} {…}`, JSON documents one after the other, as jq prints them.
 *
 * @throws {SyntaxError} if one is nested too deeply.
 */
function splitJson(text: string): string[] {
  if (!isJson(text)) return [text];
  const parts: string[] = [];
  let depth = 0, start = 0, quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === "\\") i++;
      else if (c === '"') quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === "{" || c === "[") {
      if (++depth > MAX_DEPTH) throw new SyntaxError(`a document is nested deeper than ${MAX_DEPTH} levels`);
    } else if ((c === "}" || c === "]") && --depth === 0) {
      parts.push(text.slice(start, i + 1).trim());
      start = i + 1;
    }
  }
  return text.slice(start).trim() === "" ? parts : [text];
}

/** A document with another value. */
export function withValue(document: Document, value: unknown): Document {
  const { format } = document;
  const text = format === "json" ? JSON.stringify(value, null, 2) : stringify(value, FOR_ALL);
  return { text, value, format };
}

/** Documents as one stream again; JSON alone is joined so that readers of JSON can take it. */
export function joinDocuments(documents: readonly Document[]): string {
  const separator = documents.every(({ format }) => format === "json") ? "" : "---\n";
  return documents.map(({ text }) => text.endsWith("\n") ? text : `${text}\n`).join(separator);
}
