import type { PodwrightError } from '#base/errors.ts';
import type { Store, StoredValue, StoreEvent, StoreOp, StoreWatch } from './store.ts';

/** All keys as of one moment. What it gives holds in the turn in which it is asked. */
export interface KeyView {
  readonly revision: number;
  get(key: string): StoredValue | undefined;
  /** From `from` on and before `to` (undefined: to the end), in order. */
  scan(from: string, to: string | undefined): Iterable<StoredValue>;
}

export interface Decision<T> {
  readonly ops: readonly StoreOp[];
  readonly answer: T;
}

export interface LeaseState {
  readonly id: number;
  readonly ttlSeconds: number;
  readonly leftMs: number;
  readonly keys: readonly string[];
}

export interface WatchFrom {
  readonly prefix: string;
  /** The first that is told; the compacted revision itself is allowed, and its events then lack what was before. */
  readonly revision: number;
  readonly onEvents: (events: readonly StoreEvent[]) => void;
  /** Told once when compaction overtook the replay. */
  readonly onEnd: (error: PodwrightError) => void;
}

/** A version of a key as it is kept, deletions among them. */
export interface KeptVersion extends StoredValue {
  readonly isDeletion: boolean;
}

/** Whether the engine can be served. */
export function isServedStore(store: Store): store is ServedStore {
  return 'transact' in store;
}

/** An engine that can be served as etcd: what etcd's v3 asks beyond the port. */
export interface ServedStore extends Store {
  /** Whose store it is: a number that another store does not have, below 2^48. */
  readonly identity: number;
  /** What it takes on disk, without its log. */
  sizeBytes(): Promise<number>;
  /** What is durable, now or at a revision. @throws as `get` */
  view(revision?: number): KeyView;
  /**
   * Decides on the newest state and writes as one step; `decide` does not wait and is told the revision of what it writes. What
   * it answers, or throws, is told when what it was shown is durable.
   */
  transact<T>(
    decide: (view: KeyView, nextRevision: number) => Decision<T>,
  ): Promise<{ readonly revision: number; readonly answer: T }>;
  watchFrom(watch: WatchFrom): StoreWatch;
  /** All that is kept, by revision. */
  versions(): readonly KeptVersion[];
  /** @throws E_EXISTS for an id that a lease has */
  grantLease(ttlSeconds: number, id?: number): Promise<number>;
  /** Lets the lease begin anew; gives its seconds, or undefined where there is none. */
  renewLease(id: number): Promise<number | undefined>;
  lease(id: number): LeaseState | undefined;
  leases(): readonly LeaseState[];
  /** Revokes what is over; the engine does so by itself, too, every ten seconds. */
  expireLeases(): Promise<void>;
}

/** 48 bits of a UUID, which a number holds. */
export function identityOf(id: string): number {
  return Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
}
