import { parseAllDocuments } from "yaml";
import { ROOT } from "../tests/support/tree.ts";
import type { Images } from "./where/ground.ts";

/** Namespaces of the manifests. */
export const SPACES = {
  /** Data that offloaded pods may read. */
  hospital: "hospital-space",
  /** Data that they may not. */
  restricted: "restricted-space",
  /** The offloaded namespace of consumer `pharma`. */
  pharma: "pharma-space-pharma",
} as const;

/** As much of any object as the story needs to know. */
export interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
  [field: string]: unknown;
}

/** The objects of `demo/NAME.yaml`, with these images in place of those that the file names. */
export async function manifests(
  name: "hospital" | "restricted" | "pharma",
  images: Pick<Images, "hospital" | "pharma">,
): Promise<Manifest[]> {
  const text = (await Deno.readTextFile(`${ROOT}demo/${name}.yaml`))
    .replace(/image: \S*\bhospital-app\b\S*/g, `image: ${images.hospital}`)
    .replace(/image: \S*\bpharma-app\b\S*/g, `image: ${images.pharma}`);
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}
