import {
  type Because,
  digestOf,
  type ObjectTemplates,
  type Owned,
  ownedFacts,
  type OwnedKind,
  ownedNames,
  plan,
  type PlanStep,
} from "../core/desired_state.ts";
import type { Finding } from "../core/reasons.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isNotFound, KubeError } from "../kube/errors.ts";
import { type KubeObject, resources } from "../kube/resources.ts";
import type { NamespaceStore } from "../state/namespaces.ts";
import { ownedResources } from "../state/owned_resources.ts";
import { REMIND_MS, type Reminders } from "./reminders.ts";
import type { Tampering } from "./tampering.ts";
import type { Written } from "./written.ts";

/** What reconciling a namespace needs. */
export interface ReconcileNamespaceDeps {
  client: Pick<KubeClient, "get" | "apply" | "replace" | "delete">;
  store: NamespaceStore;
  templates: ObjectTemplates;
  /** Digests of our objects as the version before made them. */
  earlier: () => string[];
  /** What we wrote and the caches do not show yet. */
  written: Written;
  tampering: Tampering;
  reminders: Reminders;
  /** Says what an operator must know. */
  report(namespace: { name: string; uid: string }, finding: Finding): void;
  /** Counts what was done. */
  done(kind: OwnedKind, because: Because): void;
}

/** A reconciler: brings what is in a namespace to what should be. */
export type ReconcileNamespace = (name: string, signal: AbortSignal) => Promise<{ requeueAfterMs?: number }>;

/** Makes the reconciler of offloaded namespaces. */
export function reconcileNamespace(deps: ReconcileNamespaceDeps): ReconcileNamespace {
  return async (name, signal) => {
    const { store, written, templates } = deps;
    const policy = store.policy(name);
    const waits = reportFindings(name, policy) ? [REMIND_MS] : [];
    if (policy === undefined || policy.terminating) written.forgetDeletions(name);
    const owned = written.overlay(store.owned(name), name);
    const steps = plan(policy, owned, templates, deps.earlier());
    const uid = policy?.uid ?? (steps.length > 0 ? await uidOfRemaining(name, signal) : undefined);
    if (uid === undefined) return {};
    const namespace = { name, uid };
    for (const step of steps) {
      const wait = step.do === "remove" ? await remove(step, namespace, signal) : await apply(step, namespace, signal);
      if (wait > 0) waits.push(wait);
    }
    if (written.isOpen(name)) waits.push(written.ttlMs);
    return waits.length > 0 ? { requeueAfterMs: Math.min(...waits) } : {};
  };

  /** Whether there is anything to be reminded of. */
  function reportFindings(name: string, policy: ReturnType<NamespaceStore["policy"]>): boolean {
    const findings = policy?.findings ?? [];
    const text = findings.map((finding) => finding.message).join("\n");
    if (deps.reminders.isDue(name, text === "" ? undefined : text)) {
      for (const finding of findings) deps.report(policy!, finding);
    }
    return findings.length > 0;
  }

  /** uid of a namespace that is not offloaded any more; undefined if it is gone or going, and takes our objects with it. */
  async function uidOfRemaining(name: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      const { metadata } = await deps.client.get(resources.Namespace, { name, signal });
      return metadata?.deletionTimestamp === undefined ? metadata?.uid ?? "" : undefined;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async function remove(
    step: PlanStep & { do: "remove" },
    regarding: { name: string; uid: string },
    signal: AbortSignal,
  ): Promise<number> {
    const { kind, namespace, uid } = step.owned;
    deps.written.removing(step.owned);
    try {
      await deps.client.delete(ownedResources[kind], { namespace, name: ownedNames[kind], uid, signal });
    } catch (error) {
      deps.written.notRemoving(step.owned);
      if (isConflict(error)) return 0; // Another object has the name by now; its event brings us back.
      if (!isNotFound(error)) throw error;
    }
    deps.done(kind, step.because);
    const reason = step.because === "opted-out" ? "OptedOut" : "NoLongerOffloaded";
    deps.report(regarding, { reason, message: `Removed ${kind} "${ownedNames[kind]}"` });
    return 0;
  }

  /** Returns how long to wait before the next try, ms; 0: done. */
  async function apply(
    step: PlanStep & { do: "apply" },
    regarding: { name: string; uid: string },
    signal: AbortSignal,
  ): Promise<number> {
    const { kind, namespace, name } = step.desired;
    const key = `${kind} ${namespace}/${name}`;
    const missed = step.because === "absent" && deps.written.wasDeleted(kind, namespace);
    const tampered = missed || step.because === "drift" || step.because === "foreign";
    const wait = tampered ? deps.tampering.delay(key) : 0;
    if (wait > 0) return wait;
    const result = await converge(step, signal);
    if (result === undefined) return 0;
    deps.written.wrote(result.owned);
    const foreign = step.because === "foreign" || (step.because === "absent" && !missed && !result.created);
    const because = foreign ? "foreign" : missed ? "drift" : step.because;
    deps.done(kind, because);
    if (because !== "foreign" && because !== "drift") return 0;
    deps.tampering.repaired(key);
    deps.report(regarding, {
      reason: foreign ? "ObjectTakenOver" : "ObjectDrift",
      message: foreign
        ? `${kind} "${name}" was there but not made by us: took it over`
        : missed
        ? `${kind} "${name}" was deleted by somebody else: made it anew`
        : `${kind} "${name}" was changed by somebody else: repaired it`,
    });
    return 0;
  }

  /** Undefined: the namespace is gone or going. */
  async function converge(
    { desired, because }: PlanStep & { do: "apply" },
    signal: AbortSignal,
  ): Promise<{ owned: Owned; created: boolean } | undefined> {
    const { kind, namespace, name, digest } = desired;
    const resource = ownedResources[kind];
    const ref: KubeObject = { metadata: { name, namespace } };
    const write = { contentBody: desired.applied, signal };
    const facts = (object: KubeObject): Owned => ({ ...ownedFacts(kind, object)!, digest, managed: true });
    try {
      const applied = await unlessInvalid(
        deps.client.apply(resource, ref, { ...write, metadataOnly: because === "absent" }),
      );
      if (applied?.created) return { owned: facts(applied.object), created: true };
      const present = because === "absent" || applied === undefined
        ? await deps.client.get(resource, { namespace, name, signal })
        : applied.object;
      if (digestOf(present) === digest) return { owned: facts(present), created: false };
      return { owned: facts(await replace(present) ?? await makeAnew(present)), created: false };
    } catch (error) {
      if (isNotFound(error) || isTerminating(error)) return undefined;
      throw error;
    }

    /** What others have added outlives an apply: puts our object in its place. Undefined if that cannot be: it is immutable, or going. */
    async function replace({ metadata }: KubeObject): Promise<KubeObject | undefined> {
      const { resourceVersion, deletionTimestamp } = metadata ?? {};
      if (deletionTimestamp !== undefined) return undefined;
      const object = JSON.parse(desired.body) as KubeObject;
      object.metadata = { ...object.metadata, ...(resourceVersion ? { resourceVersion } : {}) };
      return await unlessInvalid(deps.client.replace(resource, object, { signal }));
    }

    /** Deletes what is there, whatever finalizers hold it, and makes ours. */
    async function makeAnew(present: KubeObject): Promise<KubeObject> {
      const { uid, resourceVersion, finalizers = [] } = present.metadata ?? {};
      if (finalizers.length > 0) {
        const metadata = { namespace, name, ...(resourceVersion ? { resourceVersion } : {}) };
        await deps.client.replace(resource, { ...present, metadata }, { signal });
      }
      deps.written.removing({ kind, namespace });
      await deps.client.delete(resource, { namespace, name, uid, signal }).catch((error) => {
        if (!isNotFound(error)) throw error;
      });
      return (await deps.client.apply(resource, ref, write)).object;
    }
  }
}

/** The answer to a write; undefined if the object as it is does not allow it. */
async function unlessInvalid<T>(write: Promise<T>): Promise<T | undefined> {
  try {
    return await write;
  } catch (error) {
    if (error instanceof KubeError && error.status === 422) return undefined;
    throw error;
  }
}

function isTerminating(error: unknown): boolean {
  return error instanceof KubeError && error.status === 403 &&
    (error.details?.causes ?? []).some((cause) => cause.reason === "NamespaceTerminating");
}
