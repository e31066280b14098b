import type { Identity } from "../tests/cluster/cluster.ts";
import { consumer } from "../tests/cluster/liqo.ts";
import type { Kubectl } from "./kubectl.ts";
import type { Liqo } from "./liqo.ts";
import { SPACES } from "./manifests.ts";
import type { Story } from "./story.ts";
import type { Images } from "./where/ground.ts";

/** Namespaces of the story. */
export const NAMESPACES = {
  ...SPACES,
  product: "data-spacer",
  liqo: "liqo",
  tenant: "liqo-tenant-pharma",
  /** Claimed for another consumer than its own. */
  spoofed: "bank-space",
} as const;

/** Pharma, as its virtual kubelet talks to Hospital's API server. */
export const PHARMA: Identity = consumer("pharma");

/** Everybody of the story. */
export interface Cast {
  story: Story;
  kubectl: Kubectl;
  liqo: Liqo;
  images: Images;
}

/** A chapter, one after the other; each begins where the one before has ended. */
export type Chapter = (cast: Cast) => Promise<void>;

/** Fails a step with what was seen instead. */
export function expect(held: boolean, saw: string): asserts held {
  if (!held) throw new Error(saw);
}

/** Looks until there is something. @throws {Error} if there is nothing within `ms`. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, ms = 20_000): Promise<T> {
  for (const end = performance.now() + ms;;) {
    const found = await look();
    if (found !== undefined) return found;
    expect(performance.now() < end, `not within ${ms / 1_000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

/** What was refused, in the words that the one who asked gets; `by` is who must have refused it. @throws {Error} if it was not. */
export function refused(refusal: string | undefined, by: string): string {
  expect(refusal !== undefined, "it was not refused");
  expect(refusal.includes(by), refusal);
  return refusal
    .replace(/^admission webhook "([^"]*)" denied the request: /, "$1: ")
    .replace(/^.*ValidatingAdmissionPolicy '([^']*)' with binding '[^']*' denied request: /, "$1: ");
}
