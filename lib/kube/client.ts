import { errorOfFailure, errorOfStatus, isExpired } from "./errors.ts";
import { jsonLines } from "./json_lines.ts";
import { type ListHead, listParts } from "./list_items.ts";
import { describe, type KubeObject, type ObjectRef, pathOf, pathOfOne, type Resource } from "./resources.ts";
import type {
  Applied,
  CallOptions,
  DeleteOptions,
  JsonPatchOp,
  ListOptions,
  ListPage,
  ListPart,
  PatchOptions,
  SelectOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "./calls.ts";
import { type KubeRequest, Transport, type TransportOptions } from "./transport.ts";

/** What {@linkcode KubeClient} needs. */
export interface KubeClientOptions extends TransportOptions {
  /** Names us as the owner of the fields that we write. */
  fieldManager: string;
}

const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/** A list whose snapshot expires that often cannot be read at this speed. */
const MAX_RELISTS = 3;

/**
 * The API server's verbs. Every call takes an `AbortSignal` and throws {@linkcode KubeError} for whatever is no
 * success, or the signal's reason; a wrong address is a `TypeError`.
 */
export class KubeClient implements Disposable {
  readonly #transport: Transport;
  readonly #fieldManager: string;

  constructor(options: KubeClientOptions) {
    this.#transport = new Transport(options);
    this.#fieldManager = options.fieldManager;
  }

  /** Reads one object. */
  get<T>(resource: Resource<T>, options: CallOptions & ObjectRef & { name: string }): Promise<T> {
    return this.#json({
      action: `get ${describe(resource, options)}`,
      method: "GET",
      path: pathOfOne(resource, options),
      ...call(options),
    });
  }

  /** Reads one page; without `limit` the whole list. */
  async list<T>(resource: Resource<T>, options: ListOptions = {}): Promise<ListPage<T>> {
    const list = await this.#json<RawList<T>>({
      ...this.#select("list", resource, options, options.metadataOnly ? METADATA_LIST : undefined, {
        limit: options.limit,
        continue: options.continue,
        resourceVersion: options.resourceVersion,
      }),
    });
    const { resourceVersion, continue: next } = list.metadata;
    return { items: list.items ?? [], resourceVersion, ...(next ? { continue: next } : {}) };
  }

  /**
   * Reads a whole list, all of one snapshot, in pages of `limit` (250 if absent), and yields it in small parts as it
   * arrives, so that no step holds the event loop. A snapshot that expires on the way (410) makes it begin anew, three
   * times at most.
   */
  async *listAll<T>(resource: Resource<T>, options: ListOptions = {}): AsyncGenerator<ListPart<T>> {
    const { limit = 250 } = options;
    let token: string | undefined;
    let restarts = 0;
    let restarted = false;
    for (;;) {
      try {
        const query = { limit, continue: token, resourceVersion: token ? undefined : options.resourceVersion };
        const accept = options.metadataOnly ? METADATA_LIST : undefined;
        const parts = this.#transport.stream(this.#select("list", resource, options, accept, query), listParts);
        let head: ListHead | undefined;
        for await (const part of parts) {
          if (!Array.isArray(part)) head = part as ListHead;
          else {
            yield { items: part as T[], restarted };
            restarted = false;
          }
        }
        token = head?.metadata.continue || undefined;
        if (token === undefined) return yield { items: [], restarted, resourceVersion: head!.metadata.resourceVersion };
      } catch (error) {
        if (!isExpired(error) || token === undefined || restarts++ >= MAX_RELISTS) throw error;
        restarted = true;
        token = undefined;
      }
    }
  }

  /**
   * Reports changes until the server ends the watch, bookmarks included. It reads no further than its reader.
   * @throws {KubeError} for an ERROR event, with the code of its Status.
   */
  async *watch<T>(resource: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { onBytes } = options;
    const request = this.#select("watch", resource, options, options.metadataOnly ? METADATA : undefined, {
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: options.resourceVersion,
      timeoutSeconds: options.timeoutSeconds,
    });
    const lines = this.#transport.stream(request, (body, deadline) => {
      deadline.stopClock();
      return jsonLines(body, onBytes ? { onBytes } : {});
    });
    for await (const line of lines) {
      const event = line as WatchEvent<T> | { type: "ERROR"; object: unknown };
      if (event.type === "ERROR") throw errorOfStatus(request.action, 0, event.object);
      yield event;
    }
  }

  /** Server-side apply, by force: fields that others own become ours. */
  async apply<T>(resource: Resource<T>, object: KubeObject, options: WriteOptions = {}): Promise<Applied<T>> {
    const request = this.#write("apply", resource, refOf(object), object, options, {
      method: "PATCH",
      contentType: "application/apply-patch+yaml", // JSON is YAML
      query: { force: true },
    });
    const answer = await this.#transport.perform(request);
    return { created: answer.status === 201, object: parse(request, answer.text) as T };
  }

  /** Creates an object. @throws {KubeError} 409 "AlreadyExists" if its name is taken. */
  create<T>(resource: Resource<T>, object: T & KubeObject, options: WriteOptions = {}): Promise<T> {
    return this.#json(this.#write("create", resource, refOf(object), object, options, { method: "POST" }));
  }

  /** Replaces an object; with a `metadata.resourceVersion` only that version of it (409 otherwise). */
  replace<T>(resource: Resource<T>, object: T & KubeObject, options: WriteOptions = {}): Promise<T> {
    return this.#json(this.#write("replace", resource, refOf(object), object, options, { method: "PUT" }));
  }

  /** Deletes one object. */
  async delete(resource: Resource<unknown>, options: DeleteOptions): Promise<void> {
    const { uid, resourceVersion, gracePeriodSeconds, dryRun } = options;
    const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
    // With a body the API server reads no options from the query: there a dry run would delete.
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      preconditions,
      gracePeriodSeconds,
      dryRun: dryRun ? ["All"] : undefined,
    };
    await this.#json({
      action: `delete ${describe(resource, options)}`,
      method: "DELETE",
      path: pathOfOne(resource, options),
      body: JSON.stringify(body),
      ...call(options),
    });
  }

  /** Changes an object by RFC 6902 steps. */
  jsonPatch<T>(resource: Resource<T>, steps: readonly JsonPatchOp[], options: PatchOptions): Promise<T> {
    return this.#patch(resource, steps, options, "application/json-patch+json");
  }

  /** Changes an object by an RFC 7386 merge. */
  mergePatch<T>(resource: Resource<T>, patch: object, options: PatchOptions): Promise<T> {
    return this.#patch(resource, patch, options, "application/merge-patch+json");
  }

  /**
   * Creates a subresource, such as a Pod's "eviction". Nothing is retried inside: to an eviction 429 is the
   * disruption budget's no.
   */
  createSubresource<T>(
    resource: Resource<unknown>,
    object: KubeObject,
    options: WriteOptions & { subresource: string },
  ): Promise<T> {
    const ref = { ...refOf(object), subresource: options.subresource };
    return this.#json(this.#write("create", resource, ref, object, { retries: 0, ...options }, { method: "POST" }));
  }

  /** GET of any path, such as "/version"; the text of the answer. */
  async raw(path: string, options: CallOptions & { accept?: string } = {}): Promise<string> {
    const accept = options.accept ?? "*/*";
    const request: KubeRequest = { action: `get ${path}`, method: "GET", path, accept, ...call(options) };
    return (await this.#transport.perform(request)).text;
  }

  /** Closes the connections; calls in flight fail. */
  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }

  async #json<T>(request: KubeRequest): Promise<T> {
    return parse(request, (await this.#transport.perform(request)).text) as T;
  }

  #select(
    verb: string,
    resource: Resource<unknown>,
    options: SelectOptions,
    accept: string | undefined,
    query: NonNullable<KubeRequest["query"]>,
  ): KubeRequest {
    const { namespace, labelSelector, fieldSelector } = options;
    return {
      action: `${verb} ${describe(resource, { namespace })}`,
      method: "GET",
      path: pathOf(resource, { namespace }),
      query: { ...query, labelSelector, fieldSelector },
      ...(accept === undefined ? {} : { accept }),
      ...call(options),
    };
  }

  #write(
    verb: string,
    resource: Resource<unknown>,
    ref: ObjectRef,
    object: unknown,
    options: WriteOptions,
    how: Pick<KubeRequest, "method" | "contentType" | "query">,
  ): KubeRequest {
    const intoCollection = how.method === "POST" && ref.subresource === undefined;
    return {
      action: `${verb} ${describe(resource, ref)}`,
      path: intoCollection ? pathOf(resource, { namespace: ref.namespace }) : pathOfOne(resource, ref),
      ...how,
      query: { ...how.query, fieldManager: this.#fieldManager, dryRun: options.dryRun ? "All" : undefined },
      body: options.contentBody ?? JSON.stringify(object),
      ...(options.metadataOnly ? { accept: METADATA } : {}),
      ...call(options),
    };
  }

  #patch<T>(resource: Resource<T>, patch: object, options: PatchOptions, contentType: string): Promise<T> {
    const { namespace, name, subresource } = options;
    const ref = { namespace, name, subresource };
    return this.#json(this.#write("patch", resource, ref, patch, options, { method: "PATCH", contentType }));
  }
}

interface RawList<T> {
  metadata: { resourceVersion: string; continue?: string };
  items: T[] | null;
}

function parse(request: KubeRequest, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw errorOfFailure(request.action, cause);
  }
}

function call(options: CallOptions): Pick<KubeRequest, "signal" | "timeoutMs" | "retries"> {
  return { signal: options.signal, timeoutMs: options.timeoutMs, retries: options.retries };
}

function refOf(object: KubeObject): ObjectRef {
  return { namespace: object.metadata?.namespace, name: object.metadata?.name };
}
