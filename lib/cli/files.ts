import type { Namespace } from "kubernetes-types/core/v1.d.ts";
import { type Document, readDocuments } from "./documents.ts";
import { printable, type Process, UsageError } from "./verb.ts";

/** An object of JSON. */
export type Json = Record<string, unknown>;

/** What an object is, for example `v1` and `Pod`. */
export interface ObjectType {
  apiVersion: string;
  kind: string;
}

/** Documents of all files, in order. @throws {UsageError} naming the file that cannot be read. */
export async function readFiles(files: readonly string[], process: Process): Promise<Document[]> {
  const all: Document[] = [];
  for (const file of files) {
    try {
      all.push(...readDocuments(await process.read(file)));
    } catch (cause) {
      throw new UsageError(`Cannot read "${file}": ${(cause as Error).message}`, { cause });
    }
  }
  return all;
}

/** What an object is. Items of a typed list, as the API server sends them, do not say so themselves. */
export function typeOf(object: Json, list?: ObjectType): ObjectType {
  const apiVersion = String(object.apiVersion ?? list?.apiVersion ?? "");
  return { apiVersion, kind: String(object.kind ?? list?.kind.replace(/List$/, "") ?? "") };
}

/**
 * Namespaces in a value, those in lists included.
 *
 * @throws {UsageError} naming a label that is no text: the API server would refuse it.
 */
export function namespacesIn(value: unknown, list?: ObjectType): Namespace[] {
  if (!isObject(value)) return [];
  const type = typeOf(value, list);
  if (Array.isArray(value.items)) return value.items.flatMap((item) => namespacesIn(item, type));
  if (type.kind !== "Namespace" || type.apiVersion !== "v1") return [];
  const { name, labels } = (isObject(value.metadata) ? value.metadata : {}) as Json;
  for (const [key, label] of Object.entries(isObject(labels) ? labels : {})) {
    if (typeof label === "string") continue;
    throw new UsageError(
      printable(`Cannot use Namespace "${name}": its label ${key} must be text, so put "${label}" in quotes`),
    );
  }
  return [value as Namespace];
}

/** Whether a value is an object of JSON. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
