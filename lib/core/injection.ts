import type { Container, Volume } from "kubernetes-types/core/v1.d.ts";
import { type InjectionTemplate, PLACEHOLDER, type PodValues } from "./injected.ts";

/** What injection follows: the template of this version, and those that are accepted besides (the version before). */
export interface Injection {
  current: PreparedTemplate;
  accepted: readonly PreparedTemplate[];
}

/** Something that goes into a pod, and the same as JSON. */
export interface Piece<T> {
  /** Shared by pods: not to be changed. */
  object: T;
  json: string;
}

/** A template made ready for many pods: parsed once, split at its placeholders, and what was filled last is kept. */
export class PreparedTemplate {
  readonly source: InjectionTemplate;
  readonly volumes: readonly Piece<Volume>[];
  readonly #containers: readonly FillableContainer[];

  /** @throws {SyntaxError} if the template is no JSON; {TypeError} if it holds no lists. */
  constructor(source: InjectionTemplate) {
    this.source = source;
    this.volumes = (JSON.parse(source.volumes) as Volume[]).map((object) => ({ object, json: JSON.stringify(object) }));
    this.#containers = (JSON.parse(source.containers) as Container[]).map((c) => new FillableContainer(c));
  }

  /** Our containers for one pod, in order. */
  containers(values: PodValues): Piece<Container>[] {
    return this.#containers.map((container) => container.fill(values));
  }
}

/** How many fillings of a container are kept, 1 to 8 KB each: consumers and uids are few, and pods of one controller have the same probes. */
const KEPT = 64;

type Slot = { key: keyof PodValues; number: boolean };

class FillableContainer {
  /** JSON between the placeholders: one more than `#slots`. */
  readonly #literals: string[] = [];
  readonly #slots: Slot[] = [];
  readonly #filled = new Map<string, Piece<Container>>();

  constructor(container: Container) {
    // Each placeholder leaves two groups between literals: its key as a number, or its key as text.
    const parts = JSON.stringify(container).split(PLACEHOLDER) as (string | undefined)[];
    for (let i = 0; i < parts.length; i += 3) {
      this.#literals.push(parts[i]!);
      const key = parts[i + 1] ?? parts[i + 2];
      if (key !== undefined) this.#slots.push({ key: key as keyof PodValues, number: parts[i + 1] !== undefined });
    }
  }

  fill(values: PodValues): Piece<Container> {
    const key = this.#slots.map((slot) => values[slot.key]).join("\n");
    const kept = this.#filled.get(key);
    if (kept !== undefined) return kept;
    let json = this.#literals[0]!;
    for (const [i, slot] of this.#slots.entries()) {
      const value = values[slot.key];
      json += (slot.number ? Number(value) : JSON.stringify(String(value)).slice(1, -1)) + this.#literals[i + 1]!;
    }
    const filled = { object: JSON.parse(json) as Container, json };
    if (this.#filled.size >= KEPT) this.#filled.delete(this.#filled.keys().next().value!);
    this.#filled.set(key, filled);
    return filled;
  }
}
