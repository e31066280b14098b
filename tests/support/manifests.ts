import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { filesOf, readFile } from "./tree.ts";

/** What every object of deploy/ has. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
}

/** The installation itself. */
export const BASE = "deploy/base";

/** Every YAML file of deploy/. */
export const yamlFiles = (await filesOf("deploy")).filter((file) => file.endsWith(".yaml"));

/** The objects of deploy/, by file. */
export const documents = new Map(await Promise.all(yamlFiles.map(async (file) => [file, await parse(file)] as const)));

async function parse(file: string): Promise<Manifest[]> {
  return parseAllDocuments(await readFile(file)).map((document) => {
    assert.deepEqual(document.errors, [], file);
    return document.toJS() as Manifest;
  });
}

/** The objects of a kind in a folder. */
export function all<T>(kind: string, folder = BASE): (T & Manifest)[] {
  const manifests = yamlFiles.filter((file) => file.startsWith(`${folder}/`)).flatMap((file) => documents.get(file)!);
  return manifests.filter((manifest) => manifest.kind === kind) as (T & Manifest)[];
}

/** The one object of a kind in a folder. */
export function only<T>(kind: string, folder = BASE): T & Manifest {
  const found = all<T>(kind, folder);
  assert.equal(found.length, 1, `${kind} in ${folder}`);
  return found[0]!;
}
