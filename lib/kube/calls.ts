/** Options of every call. */
export interface CallOptions {
  /** Ends the call; it then throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** For the whole call with its retries, in milliseconds; 30 s if absent. A watch: until its first byte. */
  timeoutMs?: number | undefined;
  /** How often a 429 or 503 that says when to come back is asked again; 3 if absent. */
  retries?: number | undefined;
}

/** Options of every writing call. */
export interface WriteOptions extends CallOptions {
  /** The server does all but store it. */
  dryRun?: boolean;
  /**
   * The body, already serialised: sent instead of `JSON.stringify(object)`; of the object only the name and namespace
   * are read, for the path.
   */
  contentBody?: string | Uint8Array<ArrayBuffer>;
  /** Asks for the object's metadata alone as the answer. */
  metadataOnly?: boolean;
}

/** Which objects to list or watch. */
export interface SelectOptions extends CallOptions {
  /** Absent: all namespaces. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** Asks for the objects' metadata alone. */
  metadataOnly?: boolean;
}

/** Options of a list. */
export interface ListOptions extends SelectOptions {
  /** Objects a page. */
  limit?: number;
  /** The token of the page before. */
  continue?: string;
  resourceVersion?: string;
}

/** A list, or one page of it. */
export interface ListPage<T> {
  items: T[];
  /** Of the list as a whole: watch from here. */
  resourceVersion: string;
  /** Token of the next page; absent on the last one. */
  continue?: string;
}

/** A few items of {@linkcode KubeClient.listAll}. */
export interface ListPart<T> {
  items: T[];
  /** The list begins anew with this part, since its first snapshot expired: forget the parts before. */
  restarted: boolean;
  /** Of the list as a whole, on its last part only: watch from here. */
  resourceVersion?: string;
}

/** Options of a watch. */
export interface WatchOptions extends SelectOptions {
  /** Events after this version. */
  resourceVersion: string;
  /** After this time the server ends the watch. */
  timeoutSeconds?: number;
  /** Called for whatever arrives, bookmarks and parts of a line included. */
  onBytes?: (count: number) => void;
}

/** What a watch reports. A bookmark's object has nothing but `metadata.resourceVersion`. */
export interface WatchEvent<T> {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  object: T;
}

/** The answer to an apply. */
export interface Applied<T> {
  /** The object did not exist before. */
  created: boolean;
  object: T;
}

/** Conditions of a delete. */
export interface DeleteOptions extends CallOptions {
  namespace?: string;
  name: string;
  /** Delete only this very object, or only this version of it; otherwise 409. */
  uid?: string | undefined;
  resourceVersion?: string | undefined;
  gracePeriodSeconds?: number;
  dryRun?: boolean;
}

/** Options of a patch. */
export interface PatchOptions extends WriteOptions {
  namespace?: string;
  name: string;
  subresource?: string;
}

/** One step of a JSON Patch (RFC 6902). */
export type JsonPatchOp =
  | { op: "add" | "replace" | "test"; path: string; value: unknown }
  | { op: "remove"; path: string }
  | { op: "move" | "copy"; from: string; path: string };
