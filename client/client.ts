import type { KindRef } from '#api/schema/kind-ref.ts';
import type { DeleteOptions } from '#api/generated/objects.ts';

/** Where an object is. */
export interface ObjectRef {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** Which objects of a kind. */
export interface ListOptions {
  readonly namespace?: string | undefined; // undefined: all
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  readonly resourceVersion?: string | undefined;
  /** Only apiVersion, kind and metadata of each object (PartialObjectMetadata). */
  readonly metadataOnly?: boolean | undefined;
}

/** A page of a list, or all of it: then there is no `continue`. */
export interface ListResult<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly continue: string | undefined;
}

/** What became of an object, or how far the watch is. */
export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly initialEventsEnd: boolean };

/** `sendInitialEvents` begins with what there is, and ends that by a bookmark (KEP-3157). */
export interface WatchOptions extends ListOptions {
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
}

/** RFC 6902, RFC 7386, and Kubernetes' own, which knows lists by their keys (built-in kinds only). */
export type PatchKind = 'json' | 'merge' | 'strategic';

/** How a write is done. */
export interface WriteOptions {
  readonly subresource?: string | undefined;
  readonly dryRun?: boolean | undefined;
  /** As whom managedFields know the writer. Default: that of the client, else the first word of its user agent. */
  readonly fieldManager?: string | undefined;
  /** What is done about unknown and double fields. Default: the server's, Warn. */
  readonly fieldValidation?: 'Ignore' | 'Warn' | 'Strict' | undefined;
}

/** How server-side apply is done. */
export interface ApplyOptions extends WriteOptions {
  readonly fieldManager: string;
  /** Takes fields that others own. Without, that is a Conflict that names them in its causes. */
  readonly force?: boolean | undefined;
}

/**
 * A typed API client. Failures are PodwrightError E_API with detail { status: Status, httpCode: number, reason: string },
 * or E_CONNECTION when no answer came (`isNotFound`, `isConflict`, … of client/api-error.ts ask them).
 */
export interface ApiClient {
  get<T>(kind: KindRef<T>, where: ObjectRef, options?: { readonly subresource?: string }): Promise<T>;
  list<T>(kind: KindRef<T>, options?: ListOptions): Promise<ListResult<T>>;
  create<T>(
    kind: KindRef<T>,
    object: T,
    options?: WriteOptions & { readonly where?: ObjectRef; readonly namespace?: string },
  ): Promise<T>;
  update<T>(kind: KindRef<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T>(
    kind: KindRef<T>,
    where: ObjectRef,
    patch: { readonly kind: PatchKind; readonly body: unknown } & WriteOptions,
  ): Promise<T>;
  /**
   * Server-side apply: makes the fields that are given the manager's, and removes those that it gave before and no longer does.
   * Makes the object when there is none.
   */
  apply<T>(kind: KindRef<T>, object: T, options: ApplyOptions): Promise<T>;
  delete(kind: KindRef<unknown>, where: ObjectRef, options?: Partial<DeleteOptions>): Promise<void>;
  /** Ends when the server closes or the signal aborts; throws E_API with reason Expired on 410. */
  watch<T>(kind: KindRef<T>, options: WatchOptions, signal: AbortSignal): AsyncIterable<WatchEvent<T>>;
  /** Any other path: the body as text. `accept`: the types of answers that are wanted; default JSON. */
  raw(
    method: string,
    path: string,
    body?: unknown,
    accept?: string,
  ): Promise<{ readonly status: number; readonly body: string }>;
  /** GET of any path: the body as it comes, such as the logs of a container that are followed. */
  stream(path: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** A cache of one kind kept current by list and watch. Objects are shared and must not be mutated. */
export interface Informer<T> {
  /** Keys are `namespace/name` or `name`. */
  get(key: string): T | undefined;
  list(): readonly T[];
  /** Objects under a value of a named index given at creation. */
  byIndex(index: string, value: string): readonly T[];
  /** Called with what was and what is (undefined: absent), after the cache changed. A new handler first gets all present objects. */
  onChange(
    handler: (change: {
      readonly key: string;
      readonly old: T | undefined;
      readonly current: T | undefined;
    }) => void,
  ): Disposable;
  /** Resolves when the first complete list is in the cache. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
}
