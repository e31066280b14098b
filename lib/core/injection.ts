import type { Container, LocalObjectReference, Volume } from "kubernetes-types/core/v1.d.ts";
import { type InjectionTemplate, PLACEHOLDER, type PodValues } from "./injected.ts";
import { keptAddition, type PatchOp } from "./patch_op.ts";

/** What injection follows: the template of this version, and those that are accepted besides (the version before). */
export interface Injection {
  current: PreparedTemplate;
  accepted: readonly PreparedTemplate[];
}

/** Something that goes into many pods, and how. */
export interface Piece<T> {
  /** Shared by pods: not to be changed. */
  object: T;
  /** Puts it into a list that the pod has. */
  op: PatchOp;
}

/** Something that goes to the end of a list of the pod's spec. */
export function appended<T>(field: string, object: T): Piece<T> {
  return { object, op: keptAddition(`/spec/${field}/-`, JSON.stringify(object)) };
}

/** A template made ready for many pods: parsed once, split at its placeholders, and what was filled last is kept. */
export class PreparedTemplate {
  readonly source: InjectionTemplate;
  readonly volumes: readonly Piece<Volume>[];
  /** None where no Secret with registry credentials is set. */
  readonly imagePullSecrets: readonly Piece<LocalObjectReference>[];
  readonly #containers: readonly FillableContainer[];

  /** @throws {SyntaxError} if the template is no JSON; {TypeError} if it holds no lists. */
  constructor(source: InjectionTemplate) {
    this.source = source;
    this.volumes = (JSON.parse(source.volumes) as Volume[]).map((volume) => appended("volumes", volume));
    this.imagePullSecrets = [source.imagePullSecret].filter((name) => name !== "")
      .map((name) => appended("imagePullSecrets", { name }));
    this.#containers = (JSON.parse(source.containers) as Container[]).map((c, i) => new FillableContainer(c, i));
  }

  /** Our containers for one pod, in order: init containers, before all others. */
  containers(values: PodValues): Piece<Container>[] {
    return this.#containers.map((container) => container.fill(values));
  }
}

/** How many fillings of a container are kept, 2 to 25 KB each: consumers and uids are few, and pods of one controller have the same probes. */
const KEPT = 64;

type Slot = { key: keyof PodValues; number: boolean };

class FillableContainer {
  /** JSON between the placeholders: one more than `#slots`. */
  readonly #literals: string[] = [];
  readonly #slots: Slot[] = [];
  readonly #filled = new Map<string, Piece<Container>>();
  readonly #path: string;

  constructor(container: Container, index: number) {
    this.#path = `/spec/initContainers/${index}`;
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
    const filled = { object: JSON.parse(json) as Container, op: keptAddition(this.#path, json) };
    if (this.#filled.size >= KEPT) this.#filled.delete(this.#filled.keys().next().value!);
    this.#filled.set(key, filled);
    return filled;
  }
}
