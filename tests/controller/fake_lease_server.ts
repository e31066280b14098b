import type { Lease } from "kubernetes-types/coordination/v1.d.ts";
import type { LeaderOptions } from "../../lib/controller/leader.ts";
import type { CallOptions } from "../../lib/kube/calls.ts";
import { KubeError } from "../../lib/kube/errors.ts";

/** The API server's rules for one Lease: who comes with an old version is turned away. */
export class FakeLeaseServer {
  /** As it is stored. */
  lease: Lease | undefined;
  #version = 0;

  /** Does what `verb` asks. @throws {KubeError} 404, 409. */
  handle(verb: "get" | "create" | "replace", object?: Lease): Lease {
    if (verb === "create" && this.lease !== undefined) throw status(409, "AlreadyExists");
    if (verb !== "create" && this.lease === undefined) throw status(404, "NotFound");
    if (verb === "replace") {
      const version = object!.metadata?.resourceVersion;
      assertVersion(version);
      if (version !== this.lease!.metadata?.resourceVersion) throw status(409, "Conflict");
    }
    if (verb !== "get") this.store(object!);
    return structuredClone(this.lease!);
  }

  /** Stores an object under a new version, as if somebody had written it. */
  store(object: Lease): void {
    this.lease = structuredClone(object);
    this.lease.metadata = { ...this.lease.metadata, resourceVersion: String(++this.#version) };
  }
}

function assertVersion(version: string | undefined): void {
  if (version === undefined) throw new Error("A leader must never replace without a version");
}

/** An error as the API server, or the way to it, gives it. */
export function status(code: number, reason: string): KubeError {
  return new KubeError({ status: code, reason, message: `Cannot reach the Lease: ${reason}` });
}

/** A client whose calls all go through `send`, which may delay, lose or refuse them. */
export function leaseClient(
  send: (verb: "get" | "create" | "replace", options: CallOptions, object?: Lease) => Promise<Lease>,
): LeaderOptions["client"] {
  return {
    get: (_resource: unknown, options: CallOptions) => send("get", options),
    create: (_resource: unknown, lease: Lease, options: CallOptions) => send("create", options, lease),
    replace: (_resource: unknown, lease: Lease, options: CallOptions) => send("replace", options, lease),
  } as unknown as LeaderOptions["client"];
}
