import type { Container, Pod, PodSpec, SecurityContext } from "kubernetes-types/core/v1.d.ts";
import type { Piece } from "./injection.ts";
import { injectedNames } from "./names.ts";
import { addition, move, type PatchOp, removal } from "./patch_op.ts";
import { addQuantities } from "./quantity.ts";
import type { ContainerField } from "./tenant_containers.ts";

type Resources = NonNullable<Container["resources"]>;

/**
 * Builds a JSON Patch and the pod after it side by side. The pod that came in stays as it was, and nothing that the consumer wrote is written
 * anew but security contexts: what is not named stays, fields unknown here included.
 */
export class PatchBuilder {
  /** What was done, in order. */
  readonly ops: PatchOp[] = [];
  /** The pod after them. */
  readonly pod: Pod;
  readonly #spec: PodSpec;
  /** Lists and containers that are copies already. */
  readonly #copied = new Set<unknown>();

  constructor(pod: Pod) {
    this.#spec = { ...pod.spec } as PodSpec;
    this.pod = { ...pod, spec: this.#spec };
  }

  /** `json` is the value's JSON. */
  #add(path: string, json: string): void {
    this.ops.push(addition(path, json));
  }

  #remove(path: string): void {
    this.ops.push(removal(path));
  }

  /** Makes a list of the spec, unless it is there. */
  #ensureList(field: "initContainers" | "volumes" | "imagePullSecrets"): void {
    if ((this.#spec[field] ?? undefined) === undefined) this.#add(`/spec/${field}`, "[]");
  }

  /** Puts containers before all init containers. */
  prependInit(pieces: readonly Piece<Container>[]): void {
    this.#ensureList("initContainers");
    for (const { op } of pieces) this.ops.push(op);
    this.#spec.initContainers = [...pieces.map(({ object }) => object), ...(this.#spec.initContainers ?? [])];
    this.#copied.add(this.#spec.initContainers);
  }

  /** Puts volumes or references behind those that are there. */
  append<F extends "volumes" | "imagePullSecrets">(
    field: F,
    pieces: readonly Piece<NonNullable<PodSpec[F]>[number]>[],
  ): void {
    if (pieces.length === 0) return;
    this.#ensureList(field);
    for (const { op } of pieces) this.ops.push(op);
    this.#spec[field] = [...(this.#spec[field] ?? []), ...pieces.map(({ object }) => object)] as PodSpec[F];
  }

  /** Moves our containers to the head: another webhook may have put its init containers before them. */
  moveOursFirst(): void {
    const present = [...(this.#spec.initContainers ?? [])];
    const names = [injectedNames.init, injectedNames.proxy];
    if (!names.every((name) => present.some((container) => container.name === name))) return;
    names.forEach((name, to) => {
      const from = present.findIndex((container) => container.name === name);
      if (from === to) return;
      this.ops.push(move(`/spec/initContainers/${from}`, `/spec/initContainers/${to}`));
      present.splice(to, 0, ...present.splice(from, 1));
      this.#spec.initContainers = present;
    });
  }

  /** Sets a variable that a container has. */
  setEnv(field: ContainerField, index: number, { name, value }: { name: string; value: string }): void {
    const present = (this.#spec[field] as Container[])[index]!.env ?? [];
    const i = present.findIndex((variable) => variable.name === name);
    if (i < 0 || (present[i]!.value ?? "") === value) return; // the API server leaves out an empty value
    this.#add(`/spec/${field}/${index}/env/${i}/value`, JSON.stringify(value));
    this.#container(field, index).env = present.with(i, { ...present[i]!, value });
  }

  /** Takes off every mount that `unwanted` picks. */
  removeMounts(
    field: ContainerField,
    index: number,
    unwanted: (mount: NonNullable<Container["volumeMounts"]>[number]) => boolean,
  ): void {
    const present = (this.#spec[field] as Container[])[index]!.volumeMounts ?? [];
    if (!present.some(unwanted)) return;
    for (let i = present.length - 1; i >= 0; i--) {
      if (unwanted(present[i]!)) this.#remove(`/spec/${field}/${index}/volumeMounts/${i}`);
    }
    this.#container(field, index).volumeMounts = present.filter((mount) => !unwanted(mount));
  }

  /** Takes off a volume. */
  removeVolume(index: number): void {
    this.#remove(`/spec/volumes/${index}`);
    this.#spec.volumes = (this.#spec.volumes ?? []).filter((_, i) => i !== index);
  }

  /** Sets a field of the spec that is absent. */
  setSpec<F extends keyof PodSpec>(field: F, value: PodSpec[F]): void {
    this.#add(`/spec/${field}`, JSON.stringify(value));
    this.#spec[field] = value;
  }

  /**
   * Sets fields of a container's security context; the others stay. More than one go in one operation with those that stay, so that the answer
   * about many containers is short enough for one packet (`createAdmissionHandler`).
   */
  setSecurity(field: ContainerField, index: number, fields: Partial<SecurityContext>): void {
    const entries = Object.entries(fields);
    if (entries.length === 0) return;
    const container = this.#container(field, index);
    const path = `/spec/${field}/${index}/securityContext`;
    const [[key, value]] = entries as [[string, unknown]];
    const merged = { ...container.securityContext, ...fields };
    if (entries.length === 1 && container.securityContext) this.#add(`${path}/${key}`, JSON.stringify(value));
    else this.#add(path, JSON.stringify(merged));
    container.securityContext = merged;
  }

  /** Sets a label of the pod. */
  label(key: string, value: string): void {
    const metadata = this.pod.metadata ?? undefined;
    const present = metadata?.labels ?? undefined;
    if (present?.[key] === value) return;
    const json = JSON.stringify(value);
    if (metadata === undefined) this.#add("/metadata", `{"labels":{${JSON.stringify(key)}:${json}}}`);
    else if (present === undefined) this.#add("/metadata/labels", `{${JSON.stringify(key)}:${json}}`);
    else this.#add(`/metadata/labels/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, json);
    this.pod.metadata = { ...metadata, labels: { ...present, [key]: value } };
  }

  /**
   * Pod-level resources, where set, are a ceiling for all containers together: raised by what a container of ours takes.
   *
   * @throws {RangeError} if a present value is no quantity.
   */
  raiseResources({ resources }: Container): void {
    const present = (this.#spec as { resources?: Resources | null }).resources;
    if (!present) return;
    const raised: Resources = { ...present };
    for (const part of ["requests", "limits"] as const) {
      const values = present[part];
      if (!values) continue;
      const sums = { ...values };
      for (const [key, ours] of Object.entries(resources?.[part] ?? {})) {
        if (!Object.hasOwn(values, key) || values[key] === null) continue;
        sums[key] = addQuantities(values[key] as string, ours as string);
        this.#add(`/spec/resources/${part}/${key}`, JSON.stringify(sums[key]));
      }
      raised[part] = sums;
    }
    (this.#spec as { resources?: Resources }).resources = raised;
  }

  /** A container of the pod after the operations, free to be changed. */
  #container(field: ContainerField, index: number): Container {
    let containers = this.#spec[field] as Container[];
    if (!this.#copied.has(containers)) {
      containers = [...containers];
      (this.#spec as unknown as Record<string, unknown>)[field] = containers;
      this.#copied.add(containers);
    }
    let container = containers[index]!;
    if (!this.#copied.has(container)) {
      container = { ...container };
      containers[index] = container;
      this.#copied.add(container);
    }
    return container;
  }
}
