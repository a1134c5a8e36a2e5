import assert from 'node:assert/strict';
import { PodwrightError } from '#base/errors.ts';
import type {
  RangeResult,
  Store,
  StoreChange,
  StoredValue,
  StoreEvent,
  StoreReader,
  StoreTxn,
  StoreWatch,
  StoreWatchOptions,
  TxnResult,
  UpdateResult,
  WatchInterest,
} from './store.ts';

/** What happened at one revision to one key; `value` undefined: it was deleted. */
interface Happening {
  readonly revision: number;
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly lease: number;
  readonly event: StoreEvent;
}

interface Watcher {
  readonly prefix: string;
  readonly after: number;
  readonly tell: (events: readonly StoreEvent[]) => void;
  readonly interest: WatchInterest | undefined;
}

/**
 * The contract at its plainest: a list of everything that ever happened, and every question answered by reading it from the
 * start. Slow on purpose; the reference that the embedded engine is compared with. Leases do not expire by themselves.
 */
export function createFakeStore(): Store {
  return new FakeStore();
}

class FakeStore implements Store {
  readonly #history: Happening[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #leases = new Set<number>();
  #leaseCount = 0;
  #isClosed = false;
  revision = 0;
  compactRevision = 0;
  readonly failure = undefined;

  async get(key: string, at = this.revision): Promise<StoredValue | undefined> {
    this.#checkReadable(at);
    return this.#state(at).get(key);
  }

  async range(
    prefix: string,
    options: { readonly from?: string; readonly limit?: number; readonly revision?: number } = {},
  ): Promise<RangeResult> {
    const at = options.revision ?? this.revision;
    this.#checkReadable(at);
    const all = [...this.#state(at).values()]
      .filter(({ key }) => key.startsWith(prefix) && key >= (options.from ?? ''))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
    const limit = options.limit === undefined || options.limit <= 0 ? all.length : options.limit;
    const remaining = Math.max(0, all.length - limit);
    const values = all.slice(0, limit).flatMap((value) => value ?? []);
    return { revision: at, values, more: remaining > 0, remaining };
  }

  async commit(txn: StoreTxn): Promise<TxnResult> {
    this.#checkOpen();
    return this.#commitNow(txn);
  }

  async update(
    key: string,
    decide: (current: StoredValue | undefined, read: StoreReader) => StoreChange | undefined,
  ): Promise<UpdateResult> {
    this.#checkOpen();
    const read: StoreReader = (asked) => this.#state(this.revision).get(asked);
    const previous = read(key);
    const { ops = [], expect = [] } = decide(previous, read) ?? {};
    const result = this.#commitNow({ expect, ops });
    assert(result.ok);
    const at = ops.findIndex((op) => op.key === key);
    return { revision: result.revision, previous, value: at < 0 ? previous : result.values[at] };
  }

  watch(
    prefix: string,
    after: number,
    tell: Watcher['tell'],
    { interest }: StoreWatchOptions = {},
  ): StoreWatch {
    this.#checkOpen();
    if (after < this.compactRevision) throw compacted(after);
    const watcher = { prefix, after, tell, interest };
    const past = this.#history.flatMap(({ revision, event }) =>
      revision > after && isFor(watcher, event) ? [event] : [],
    );
    if (past.length > 0) tell(past);
    this.#watchers.add(watcher);
    return { isCurrent: true, [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  async compact(at: number): Promise<void> {
    this.#checkOpen();
    if (at > this.revision) throw beyond(at, this.revision);
    this.compactRevision = Math.max(this.compactRevision, at);
  }

  async grantLease(): Promise<number> {
    this.#leases.add(++this.#leaseCount);
    return this.#leaseCount;
  }

  async revokeLease(lease: number): Promise<void> {
    if (!this.#leases.delete(lease)) return;
    const held = [...this.#state(this.revision).values()].filter((value) => value.lease === lease);
    this.#commitNow({ expect: [], ops: held.map(({ key }) => ({ op: 'delete', key })) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#watchers.clear();
  }

  #commitNow(txn: StoreTxn): TxnResult {
    const now = this.#state(this.revision);
    if (new Set(txn.ops.map((op) => op.key)).size < txn.ops.length) {
      throw new PodwrightError('E_INVALID', 'commit transaction: a key is written twice');
    }
    if (txn.expect.some(({ key, modRevision }) => (now.get(key)?.modRevision ?? 0) !== modRevision)) {
      const current = txn.expect.map(({ key }) => now.get(key));
      return { ok: false, revision: this.revision, current };
    }
    const happened = this.#happen(txn, now);
    if (happened.length > 0) this.revision++;
    this.#history.push(...happened);
    for (const watcher of this.#watchers) {
      const events = happened.flatMap(({ event }) => (isFor(watcher, event) ? [event] : []));
      if (events.length > 0 && this.revision > watcher.after) watcher.tell(events);
    }
    const written = this.#state(this.revision);
    const values = txn.ops.map((op) => (op.op === 'put' ? written.get(op.key) : undefined));
    return { ok: true, revision: this.revision, values };
  }

  #happen(txn: StoreTxn, now: ReadonlyMap<string, StoredValue>): readonly Happening[] {
    const revision = this.revision + 1;
    return txn.ops.flatMap((op): Happening[] => {
      const { key } = op;
      const previous = now.get(key);
      if (op.op === 'delete') {
        if (previous === undefined) return [];
        const current = { ...previous, modRevision: revision, version: 0, lease: 0 };
        return [
          { revision, key, value: undefined, lease: 0, event: { type: 'delete', key, current, previous } },
        ];
      }
      const { lease = 0 } = op;
      if (lease !== 0 && !this.#leases.has(lease)) {
        throw new PodwrightError('E_NOT_FOUND', `put ${key}: lease ${lease} does not exist`);
      }
      const createRevision = previous?.createRevision ?? revision;
      const version = (previous?.version ?? 0) + 1;
      const current = { key, value: op.value, createRevision, modRevision: revision, version, lease };
      return [{ revision, key, value: current.value, lease, event: { type: 'put', key, current, previous } }];
    });
  }

  #state(at: number): Map<string, StoredValue> {
    const keys = new Map<string, StoredValue>();
    for (const { key, value, revision: modRevision, lease } of this.#history) {
      if (modRevision > at) break;
      const createRevision = keys.get(key)?.createRevision ?? modRevision;
      const version = (keys.get(key)?.version ?? 0) + 1;
      if (value === undefined) keys.delete(key);
      else keys.set(key, { key, value, createRevision, modRevision, version, lease });
    }
    return keys;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new PodwrightError('E_CLOSED', 'use store: it is closed');
  }

  #checkReadable(at: number): void {
    this.#checkOpen();
    if (at > this.revision) throw beyond(at, this.revision);
    if (at < this.compactRevision) throw compacted(at);
  }
}

function isFor({ prefix, interest }: Watcher, event: StoreEvent): boolean {
  if (!event.key.startsWith(prefix)) return false;
  return interest === undefined || interest.topicsOf(event).includes(interest.topic);
}

function beyond(revision: number, newest: number): PodwrightError {
  return new PodwrightError('E_INVALID', `read at revision ${revision}: beyond ${newest}`);
}

function compacted(revision: number): PodwrightError {
  const detail = { compacted: true };
  return new PodwrightError('E_NOT_FOUND', `read at revision ${revision}: compacted`, { detail });
}
