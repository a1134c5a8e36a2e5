import type { PodwrightError } from '#base/errors.ts';

/**
 * The store port: etcd's contract. One integer revision over all keys; every committed transaction that writes takes the
 * next revision. Keys are `/registry/<resource>/<namespace>/<name>` (groups as in etcd of a real cluster).
 */
export interface StoredValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** How many times it was put since its creation; 1 at that. */
  readonly version: number;
  /** The lease under which it was put last; 0: none. */
  readonly lease: number;
  /** Whether a write of the same bytes would store others: it was sealed with another key (`sealed/sealed-store.ts`). */
  readonly isStale?: boolean;
}

export type StoreOp =
  | { readonly op: 'put'; readonly key: string; readonly value: Uint8Array; readonly lease?: number }
  | { readonly op: 'delete'; readonly key: string };

export interface StoreTxn {
  /** All must hold: modRevision of the key now (0: absent). */
  readonly expect: readonly { readonly key: string; readonly modRevision: number }[];
  readonly ops: readonly StoreOp[];
}

export type TxnResult =
  | { readonly ok: true; readonly revision: number; readonly values: readonly (StoredValue | undefined)[] }
  /** `current`: the keys of `expect`, as they are. */
  | { readonly ok: false; readonly revision: number; readonly current: readonly (StoredValue | undefined)[] };

/** The newest state of a key, which may be on its way to the disk still. */
export type StoreReader = (key: string) => StoredValue | undefined;

/** What an update writes: its own key's op, and others beside it, in one transaction. */
export interface StoreChange {
  readonly ops: readonly StoreOp[];
  /** Of other keys, what `read` showed of them: where it does not hold any more, the update is decided again. */
  readonly expect?: StoreTxn['expect'];
}

/** What an update came to: the state that it was decided on, and the state now. */
export interface UpdateResult {
  readonly revision: number;
  readonly previous: StoredValue | undefined;
  readonly value: StoredValue | undefined;
}

export interface RangeResult {
  /** The store's revision at which the answer holds. */
  readonly revision: number;
  readonly values: readonly StoredValue[];
  /** Whether keys beyond `limit` remain, and how many. */
  readonly more: boolean;
  readonly remaining: number;
}

export interface StoreEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** put: the new state; delete: the last one. modRevision is the revision of this event. */
  readonly current: StoredValue;
  readonly previous: StoredValue | undefined;
}

export interface StoreWatch extends Disposable {
  /** Whether every event up to the store's revision has been told. */
  readonly isCurrent: boolean;
}

/**
 * What a watch wants of the events under its prefix, so that it is found and not asked: of many watches of one prefix, an event costs
 * those that want it.
 */
export interface WatchInterest {
  /**
   * What an event is about, as it was before and as it is after, each once. Pure. Watches that share the function share its answer:
   * it is asked once for an event and a prefix, however many they are.
   */
  readonly topicsOf: (event: StoreEvent) => readonly string[];
  /** Only events about this are told. */
  readonly topic: string;
}

export interface StoreWatchOptions {
  /** Told once when the store has to end the watch: compaction overtook its replay. */
  readonly onEnd?: ((error: PodwrightError) => void) | undefined;
  /** All events under the prefix without. */
  readonly interest?: WatchInterest | undefined;
}

export interface Store extends AsyncDisposable {
  readonly revision: number;
  /** Reads below this revision are E_NOT_FOUND with detail { compacted: true }. */
  readonly compactRevision: number;
  /** Why writes are refused: for good (E_DAMAGED, E_INTERNAL), or until the disk takes one again. Reads go on. */
  readonly failure: PodwrightError | undefined;
  get(key: string, revision?: number): Promise<StoredValue | undefined>;
  /** The same without waiting; absent where it has to be looked up elsewhere. @throws what `get` rejects with */
  readonly peek?: ((key: string) => StoredValue | undefined) | undefined;
  /** Whether a range of the prefix would find nothing, where that is known without waiting. */
  readonly isKnownEmpty?: ((prefix: string) => boolean) | undefined;
  /** Keys with `prefix`, in byte order, from `from` (inclusive) on. @throws E_INVALID for a future revision. */
  range(
    prefix: string,
    options?: { readonly from?: string; readonly limit?: number; readonly revision?: number },
  ): Promise<RangeResult>;
  /** Resolves when the write is durable. Values are visible to readers and watchers only then. */
  commit(txn: StoreTxn): Promise<TxnResult>;
  /**
   * Reads a key, decides and writes as one step, in the order of the calls: nobody comes between and nobody has to try again.
   * `decide` is shown the newest state, which may be on its way to the disk still, may read other keys, gives what to write
   * (undefined: nothing) and does not wait; an engine that shares its keys with other writers may call it again. Whatever comes of
   * it, what was written or what `decide` threw, is told when the state that it was shown is durable.
   */
  update(
    key: string,
    decide: (current: StoredValue | undefined, read: StoreReader) => StoreChange | undefined,
  ): Promise<UpdateResult>;
  /**
   * Events after `afterRevision`, in order, batched by revision; then live, called before the write that caused them
   * resolves. The callback runs in the store's own turn and must not block; whoever needs a queue keeps (and bounds) its own.
   * A revision that was compacted throws E_NOT_FOUND with detail { compacted: true } at once.
   */
  watch(
    prefix: string,
    afterRevision: number,
    onEvents: (events: readonly StoreEvent[]) => void,
    options?: StoreWatchOptions,
  ): StoreWatch;
  /** Forgets what only reads below `revision` need. The engine also does so by itself, after some minutes. */
  compact(revision: number): Promise<void>;
  grantLease(ttlSeconds: number): Promise<number>;
  revokeLease(lease: number): Promise<void>;
}
