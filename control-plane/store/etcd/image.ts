import { setImmediate } from 'node:timers/promises';
import type { Clock } from '#base/clock.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { Event, RangeRequest, RangeResponse, ResponseHeader } from '#proto/etcd/rpc.ts';
import { compacted, Mvcc } from '#control-plane/store/mvcc.ts';
import type { StoreEvent } from '#control-plane/store/store.ts';
import { WatchHub } from '#control-plane/store/watch-hub.ts';
import type { EtcdClient } from './client.ts';
import { decodeKey, decodeStored } from './txn.ts';

export interface ImageOptions {
  readonly client: EtcdClient;
  readonly clock: Clock;
  /** Keys with it are kept; of others only the revision is noted. */
  readonly prefix: string;
}

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (error: PodwrightError) => void;
}

/** As far back as the image begins, if etcd goes that far: clients of a server that is started again go on with their watches. */
const historyRevisionsMax = 10_000;
const pageKeysMax = 500;
const compactStepEntries = 2000;
/** No key of Kubernetes: what is asked of it is only the revision. */
const noKey: Uint8Array = Uint8Array.of(0);
const encoder = new TextEncoder();

/**
 * What etcd holds under a prefix, with its history since some revision, in memory: loaded once, then kept by following. Every
 * revision that it has is whole.
 */
export class EtcdImage {
  readonly hub: WatchHub;
  readonly #options: ImageOptions;
  #mvcc: Mvcc = new Mvcc();
  #cluster: number | undefined;
  /** In order of their revisions. */
  #waiters: Waiter[] = [];

  constructor(options: ImageOptions) {
    this.#options = options;
    this.hub = new WatchHub((revision, mayLackPrevious) => this.#mvcc.eventsAfter(revision, mayLackPrevious));
  }

  get mvcc(): Mvcc {
    return this.#mvcc;
  }

  get revision(): number {
    return this.#mvcc.revision;
  }

  /** Reads all there was at a revision from which on it can be followed. The watches of what was there before end. */
  async load(): Promise<void> {
    const newest = await this.newestRevision();
    for (;;) {
      const base = await this.#oldestRevision(newest);
      const mvcc = new Mvcc();
      try {
        await this.#loadPages(mvcc, base);
      } catch (error) {
        if (isCompacted(error)) continue; // In the meantime.
        throw error;
      }
      mvcc.restoreMarks(base, base, 0);
      const before = this.#mvcc;
      this.#mvcc = mvcc;
      this.hub.end(compacted(before.revision, base));
      this.#wake();
      return;
    }
  }

  /** Takes whole revisions, in order; watchers are told, then those who wait for them. */
  apply(events: readonly Event[]): void {
    const { prefix } = this.#options;
    const told: StoreEvent[] = [];
    for (const { type, kv } of events) {
      if (kv === null) continue;
      const key = decodeKey(kv.key);
      if (key.startsWith(prefix)) {
        const revision = kv.mod_revision;
        const value = type === 'PUT' ? new Uint8Array(kv.value) : undefined;
        const createRevision = kv.create_revision;
        const { lease, version } = kv;
        const event = this.#mvcc.follow({ key, revision, createRevision, value, lease, version });
        if (event !== undefined) told.push(event);
      }
    }
    this.#mvcc.reach(events.at(-1)?.kv?.mod_revision ?? 0);
    try {
      this.hub.publish(told);
    } finally {
      this.#wake(); // Whatever a watcher did, what was written is here.
    }
  }

  /** Resolves when the image holds this revision. @throws E_TIMEOUT after `ms`; E_CLOSED */
  async reached(revision: number, ms: number): Promise<void> {
    if (this.revision >= revision) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { revision, resolve, reject };
    const at = this.#waiters.findLastIndex((other) => other.revision <= revision);
    this.#waiters.splice(at + 1, 0, waiter);
    using _timer = this.#options.clock.after(ms, () => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      const message = `wait for revision ${revision} of etcd: at ${this.revision} after ${ms} ms`;
      reject(new PodwrightError('E_TIMEOUT', message));
    });

    await promise;
  }

  /** etcd's revision, at least as new as anything that was written before the call. */
  async newestRevision(): Promise<number> {
    const { header } = await this.#range({ key: noKey, count_only: true });
    this.checkCluster(header);
    return header?.revision ?? 0;
  }

  /** @throws E_DAMAGED for an answer of another etcd than the one that was read */
  checkCluster(header: ResponseHeader | null): void {
    const cluster = header?.cluster_id ?? 0;
    if (cluster === 0) return; // etcd says nothing of itself when it ends a watch.
    this.#cluster ??= cluster;
    if (cluster === this.#cluster) return;
    const message = `read etcd ${this.#options.client.address}: it is another cluster's than what was read before`;
    throw new PodwrightError('E_DAMAGED', message);
  }

  /** Forgets what only reads below `revision` need, some at a time. */
  async compact(revision: number): Promise<void> {
    for (const _rows of this.#mvcc.compact(revision, compactStepEntries)) await setImmediate();
  }

  close(error: PodwrightError): void {
    this.hub.close();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }

  #wake(): void {
    const later = this.#waiters.findIndex(({ revision }) => revision > this.revision);
    const woken = this.#waiters.splice(0, later < 0 ? this.#waiters.length : later);
    for (const { resolve } of woken) resolve();
  }

  async #range(request: Outgoing<RangeRequest>): Promise<RangeResponse> {
    const { client } = this.#options;
    const { Range } = client.services['etcdserverpb.KV'];
    return (await client.ask('read', Range, request)).response;
  }

  /** The oldest revision that etcd can be read at, not more than so many before the newest. It does not say; it is tried. */
  async #oldestRevision(newest: number): Promise<number> {
    let unreadable = Math.max(0, newest - historyRevisionsMax);
    let readable = newest;
    let tried = unreadable + 1; // Most often all of it is there.
    while (unreadable + 1 < readable) {
      if (await this.#canRead(tried)) readable = tried;
      else unreadable = tried;
      tried = (unreadable + readable) >> 1;
    }
    return readable;
  }

  async #canRead(revision: number): Promise<boolean> {
    try {
      await this.#range({ key: noKey, count_only: true, revision });
      return true;
    } catch (error) {
      if (isCompacted(error)) return false;
      throw error;
    }
  }

  async #loadPages(mvcc: Mvcc, revision: number): Promise<void> {
    const { prefix } = this.#options;
    const range_end = prefixEnd(prefix);
    let key = encoder.encode(prefix);
    let limit = pageKeysMax;
    for (;;) {
      let page: RangeResponse;
      try {
        page = await this.#range({ key, range_end, revision, limit });
      } catch (error) {
        if (!isPodwrightError(error, 'E_LIMIT') || limit === 1) throw error;
        limit = Math.ceil(limit / 2); // Larger than one answer may be.
        continue;
      }
      for (const found of page.kvs) {
        const { modRevision, ...stored } = decodeStored(found);
        mvcc.follow({ ...stored, revision: modRevision });
      }
      const last = page.kvs.at(-1)?.key;
      if (!page.more || last === undefined) return;
      key = Uint8Array.from([...last, 0]);
    }
  }
}

/** The first key beyond a prefix, as etcd wants the end of a range. */
export function prefixEnd(prefix: string): Uint8Array {
  const bytes = encoder.encode(prefix);
  const at = bytes.findLastIndex((byte) => byte < 0xff);
  if (at < 0) return Uint8Array.of(0);
  const end = bytes.slice(0, at + 1);
  end[at] = (end[at] ?? 0) + 1;
  return end;
}

function isCompacted(error: unknown): boolean {
  return isPodwrightError(error, 'E_NOT_FOUND') && error.detail['compacted'] === true;
}
