import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { noteLetGo } from '#base/memory/sweep.ts';
import { inSlices } from '#base/time-slice.ts';
import { unreachable } from '#base/unreachable.ts';
import { closeAtExit } from './close-at-exit.ts';
import {
  unpackValues,
  type DiskFailure,
  type DiskLease,
  type DiskOptions,
  type DiskReply,
  type DiskRequest,
} from './disk-protocol.ts';
import { openDiskWorker, type DiskThread } from './disk-thread.ts';
import { HistoryWindow, type HistoryBounds } from './history-window.ts';
import { remedyFor, writeFailure } from './integrity.ts';
import { LeaseBook } from './lease-book.ts';
import { identityOf } from './served-store.ts';
import type { Decision, KeptVersion, KeyView, LeaseState, ServedStore, WatchFrom } from './served-store.ts';
import { Mvcc } from './mvcc.ts';
import { packIdleValues } from './packed/value-packer.ts';
import { WatchHub } from './watch-hub.ts';
import { diskWriteOf, type Write } from './write-batch.ts';
import { WritePump } from './write-pump.ts';
import type {
  RangeResult,
  StoreChange,
  StoredValue,
  StoreEvent,
  StoreReader,
  StoreTxn,
  StoreWatch,
  StoreWatchOptions,
  TxnResult,
  UpdateResult,
} from './store.ts';

export interface EmbeddedStoreOptions extends HistoryBounds {
  /** Made when absent, mode 0700. Holds store.db (SQLite, WAL) and the lock. */
  readonly directory: string;
  /** Whose store it is and how far it has come, apart from it (mark-file.ts). Default: store.mark in the directory. */
  readonly markFile?: string;
  /** There are signs of an earlier life, so that a directory without a store is not a new one. */
  readonly mustExist?: boolean;
  readonly clock: Clock;
  readonly logger?: Logger;
  /** What is deleted is overwritten, too, for nobody to find it in the files. */
  readonly erasesDeleted?: boolean;
  /** Bytes that the database may take before writes are refused with E_NO_SPACE; 0: as many as the disk has. */
  readonly sizeBytesMax?: number;
  /** Who makes writes durable. Default: a thread that keeps them in the directory. */
  readonly openDisk?: ((options: DiskOptions) => DiskThread) | undefined;
}

const housekeepingMs = 10_000;
/** Every so many rounds of housekeeping all rows are read back: once in ten minutes. */
const scrubRounds = 60;
/** Fewer are copied: to take a buffer from one thread to another costs 7 us, whatever its size. */
const transferBytesMin = 65_536;
const compactStepEntries = 2000;
const expireKeysMax = 500;
/** What a version takes beside its value: itself, its place in the log, its key and the frame of its bytes. */
const versionBytes = 450;

/**
 * Opens the embedded engine: an MVCC index in memory that answers all reads, and a Worker that makes writes durable in SQLite.
 * Writes that arrive while one is being made durable share the next fsync.
 * @throws E_BUSY when another process (or this one) has the directory open; E_PERMISSION; E_NO_SPACE.
 * @throws E_DAMAGED when what is there is not what was written; it is left as it is. E_UNSUPPORTED of a later release's.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<ServedStore> {
  const {
    directory,
    sizeBytesMax = 0,
    mustExist = false,
    erasesDeleted = false,
    logger = silentLogger,
  } = options;
  const markFile = options.markFile ?? join(directory, 'store.mark');
  const openDisk = options.openDisk ?? openDiskWorker;
  const worker = openDisk({ directory, sizeBytesMax, markFile, mustExist, erasesDeleted });
  const mvcc = new Mvcc();
  const { promise, resolve, reject } = Promise.withResolvers<Extract<DiskReply, { kind: 'opened' }>>();
  const onMessage = (reply: DiskReply): void => {
    if (reply.kind === 'chunk') {
      const values = unpackValues(reply.rows, reply.values);
      // Each in memory of its own: one value that stays would keep all of its chunk.
      reply.rows.forEach((row, index) => mvcc.restore(row, values[index]?.slice()));
    } else if (reply.kind === 'opened') {
      mvcc.restoreMarks(reply.revision, reply.compactRevision, reply.lastRow);
      for (const note of reply.notes) logger.info({ directory }, note);
      resolve(reply);
    } else if (reply.kind === 'refused') {
      const remedy = remedyFor(reply.code, directory);
      reject(new PodwrightError(reply.code, `open store ${directory}: ${reply.message}${remedy}`));
    }
  };
  worker.on('message', onMessage);
  worker.on('error', reject);
  const opened = await promise;
  worker.off('message', onMessage);
  worker.off('error', reject);
  return new EmbeddedStore(options, worker, mvcc, opened);
}

class EmbeddedStore implements ServedStore {
  readonly identity: number;
  readonly #options: EmbeddedStoreOptions;
  readonly #logger: Logger;
  readonly #worker: DiskThread;
  readonly #atExit: Disposable;
  readonly #mvcc: Mvcc;
  readonly #hub: WatchHub;
  readonly #leases: LeaseBook;
  readonly #window: HistoryWindow;
  readonly #stop = new AbortController();
  readonly #pump: WritePump;
  #compaction: Promise<void> = Promise.resolve();
  #housekeeping: Disposable;
  readonly #packing: Disposable;
  /** For good. */
  #failure: PodwrightError | undefined;
  /** Of the last write, until one succeeds. */
  #refusal: PodwrightError | undefined;
  #rounds = 0;
  #isTrimming = false;

  constructor(
    options: EmbeddedStoreOptions,
    worker: DiskThread,
    mvcc: Mvcc,
    { id, leases }: { readonly id: string; readonly leases: readonly DiskLease[] },
  ) {
    this.identity = identityOf(id);
    this.#options = options;
    this.#logger = options.logger ?? silentLogger;
    this.#worker = worker;
    this.#mvcc = mvcc;
    this.#hub = new WatchHub((revision, mayLackPrevious) => mvcc.eventsAfter(revision, mayLackPrevious));
    this.#leases = new LeaseBook(leases, options.clock);
    this.#window = new HistoryWindow(options);
    this.#pump = new WritePump({
      post: (batch) => {
        const request = diskWriteOf(batch);
        const { values } = request;
        this.#post(request, values.byteLength < transferBytesMin ? [] : [values.buffer]);
      },
      tell: (writes) => this.#tell(writes),
    });
    for (const [key, lease] of mvcc.leasedKeys()) this.#leases.attach(lease, key);
    worker.on('message', (reply: DiskReply) => this.#onReply(reply));
    worker.on('error', (error) => this.#fail('E_INTERNAL', describeError(error)));
    this.#atExit = closeAtExit(worker);
    worker.on('exit', () => this.#atExit[Symbol.dispose]());
    this.#housekeeping = options.clock.after(housekeepingMs, () => this.#housekeep());
    this.#packing = packIdleValues(options.clock, () => mvcc.packable);
  }

  get revision(): number {
    return this.#mvcc.revision;
  }

  get compactRevision(): number {
    return this.#mvcc.compactRevision;
  }

  get failure(): PodwrightError | undefined {
    return this.#failure ?? this.#refusal;
  }

  async get(key: string, revision?: number): Promise<StoredValue | undefined> {
    this.#checkOpen();
    return this.#mvcc.get(key, revision);
  }

  readonly peek = (key: string): StoredValue | undefined => this.#checkOpen().get(key);

  readonly isKnownEmpty = (prefix: string): boolean => this.#checkOpen().isEmpty(prefix);

  async range(
    prefix: string,
    options: { readonly from?: string; readonly limit?: number; readonly revision?: number } = {},
  ): Promise<RangeResult> {
    this.#checkOpen();
    return inSlices(this.#mvcc.range(prefix, options));
  }

  async commit(txn: StoreTxn): Promise<TxnResult> {
    for (;;) {
      this.#checkOpen();
      this.#checkLeases(txn);
      const staged = this.#mvcc.stage(txn);
      if (staged.ok) {
        for (const op of txn.ops) if (op.op === 'put' && op.lease) this.#leases.attach(op.lease, op.key);
        // Even without rows: what it was compared with may not be durable yet.
        if (staged.rows.length > 0 || staged.revision > this.revision) await this.#enqueue(staged);
        return { ok: true, revision: staged.revision, values: staged.values };
      }
      if (!staged.isUnsettled) return { ok: false, revision: this.revision, current: staged.current };
      // It lost against a write that may still fail: the answer has to wait for that one.
      await this.#settled();
    }
  }

  async update(
    key: string,
    decide: (current: StoredValue | undefined, read: StoreReader) => StoreChange | undefined,
  ): Promise<UpdateResult> {
    this.#checkOpen();
    const previous = this.#mvcc.newest(key);
    const expect = [{ key, modRevision: previous?.modRevision ?? 0 }];
    let change: StoreChange | undefined;
    try {
      change = decide(previous, (other) => this.#mvcc.newest(other));
    } catch (error) {
      await this.commit({ expect, ops: [] }); // It may have been decided on what is not durable yet.
      throw error;
    }
    const { ops = [], expect: others = [] } = change ?? {};
    // Staged in this very turn, hence on what was decided on.
    const result = await this.commit({ expect: [...expect, ...others], ops });
    assert(result.ok);
    const at = ops.findIndex((op) => op.key === key);
    return { revision: result.revision, previous, value: at < 0 ? previous : result.values[at] };
  }

  watch(
    prefix: string,
    afterRevision: number,
    onEvents: (events: readonly StoreEvent[]) => void,
    options?: StoreWatchOptions,
  ): StoreWatch {
    this.#checkOpen();
    return this.#hub.add(prefix, afterRevision, onEvents, options);
  }

  watchFrom({ prefix, revision, onEvents, onEnd }: WatchFrom): StoreWatch {
    this.#checkOpen();
    return this.#hub.add(prefix, revision - 1, onEvents, { onEnd, mayLackPrevious: true });
  }

  view(revision?: number): KeyView {
    this.#checkOpen();
    return this.#viewAt(this.#mvcc.readRevision(revision));
  }

  async transact<T>(
    decide: (view: KeyView, nextRevision: number) => Decision<T>,
  ): Promise<{ readonly revision: number; readonly answer: T }> {
    this.#checkOpen();
    const newest = this.#mvcc.assignedRevision;
    let decision: Decision<T>;
    try {
      decision = decide(this.#viewAt(newest), newest + 1);
    } catch (error) {
      await this.commit({ expect: [], ops: [] }); // It may have been decided on what is not durable yet.
      throw error;
    }
    // Staged in this very turn, hence on what was decided on.
    const { revision } = await this.commit({ expect: [], ops: decision.ops });
    return { revision, answer: decision.answer };
  }

  async sizeBytes(): Promise<number> {
    return (await stat(join(this.#options.directory, 'store.db'))).size;
  }

  versions(): readonly KeptVersion[] {
    this.#checkOpen();
    return this.#mvcc.keptVersions();
  }

  async compact(revision: number): Promise<void> {
    this.#checkOpen();
    const previous = this.#compaction;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#compaction = promise;
    await previous;
    try {
      let historyBytes = this.#mvcc.historyBytes;
      for (const rowsGone of this.#mvcc.compact(revision, compactStepEntries)) {
        noteLetGo(historyBytes - this.#mvcc.historyBytes + rowsGone.length * versionBytes);
        historyBytes = this.#mvcc.historyBytes;
        await this.#enqueue({ rowsGone, compactRevision: revision });
      }
    } finally {
      resolve();
    }
  }

  async grantLease(ttlSeconds: number, id?: number): Promise<number> {
    this.#checkOpen();
    const lease = this.#leases.grant(ttlSeconds, id);
    await this.#enqueue({ leases: [lease] });
    return lease.id;
  }

  async renewLease(id: number): Promise<number | undefined> {
    this.#checkOpen();
    const lease = this.#leases.renew(id);
    if (lease === undefined) return undefined;
    await this.#enqueue({ leases: [lease] });
    return lease.ttlSeconds;
  }

  lease(id: number): LeaseState | undefined {
    const lease = this.#leases.get(id);
    return lease && this.#leaseState(lease);
  }

  leases(): readonly LeaseState[] {
    return this.#leases.all().map((lease) => this.#leaseState(lease));
  }

  async expireLeases(): Promise<void> {
    for (const lease of this.#leases.expired()) await this.revokeLease(lease);
  }

  async revokeLease(lease: number): Promise<void> {
    this.#checkOpen();
    const keys = this.#leases.keysOf(lease);
    if (keys === undefined) return;
    for (let start = 0; start < keys.length; start += expireKeysMax) {
      const held = keys
        .slice(start, start + expireKeysMax)
        .filter((key) => this.#mvcc.leaseOf(key) === lease);
      await this.commit({ expect: [], ops: held.map((key) => ({ op: 'delete', key })) });
    }
    // Last, so that a write that fails before leaves a lease to try again with.
    this.#leases.remove(lease);
    await this.#enqueue({ leasesGone: [lease] });
  }

  /** Writes that were accepted become durable first; then the directory is free for the next. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#housekeeping[Symbol.dispose]();
    this.#packing[Symbol.dispose]();
    this.#hub.close();
    while (this.#failure === undefined && !this.#pump.isIdle) await this.#settled();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#worker.on('exit', () => resolve());
    this.#post({ kind: 'close' });
    await promise;
    if (this.#pump.isWaiting) this.#refuseAll('E_DAMAGED', 'it is closed, and was damaged');
  }

  #checkOpen(): Mvcc {
    if (this.#stop.signal.aborted) throw new PodwrightError('E_CLOSED', 'use store: it is closed');
    return this.#mvcc;
  }

  #checkLeases(txn: StoreTxn): void {
    for (const op of txn.ops) {
      if (op.op === 'put' && op.lease && !this.#leases.has(op.lease)) {
        throw new PodwrightError('E_NOT_FOUND', `put ${op.key}: lease ${op.lease} does not exist`);
      }
    }
  }

  #viewAt(revision: number): KeyView {
    const mvcc = this.#mvcc;
    return {
      revision,
      get: (key) => mvcc.at(key, revision),
      scan: (from, to) => mvcc.scan(from, to, revision),
    };
  }

  #leaseState({ id, ttlSeconds }: DiskLease): LeaseState {
    const keys = (this.#leases.keysOf(id) ?? []).filter((key) => this.#mvcc.leaseOf(key) === id);
    return { id, ttlSeconds, leftMs: this.#leases.leftMs(id), keys };
  }

  #enqueue(write: Partial<Omit<Write, 'settle'>>): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pump.enqueue({
      revision: this.#mvcc.assignedRevision,
      rows: [],
      payloads: [],
      leases: [],
      leasesGone: [],
      rowsGone: [],
      compactRevision: 0,
      ...write,
      settle: (failure) => (failure === undefined ? resolve() : reject(failure)),
    });
    return promise;
  }

  #post(request: DiskRequest, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }

  #onReply(reply: DiskReply): void {
    switch (reply.kind) {
      case 'written':
        this.#noteSuccess(this.#pump.written());
        return;
      case 'failed':
        this.#refuseAll(reply.code, reply.message);
        return;
      case 'damaged':
        this.#declareDamaged(reply.message);
        return;
      case 'chunk':
      case 'opened':
      case 'refused':
      case 'closed':
        return;
      default:
        unreachable(reply);
    }
  }

  #tell(writes: readonly Write[]): void {
    this.#hub.publish(this.#mvcc.settle(writes.at(-1)?.revision ?? 0));
    for (const write of writes) write.settle(undefined);
    this.#trimHistory();
  }

  /** Nothing that was assigned since the last durable revision has happened. Later writes may succeed again. */
  #refuseAll(code: DiskFailure, message: string): void {
    const failure = writeFailure(code, this.#options.directory, message);
    const refused = this.#pump.takeAll();
    this.#mvcc.rollback();
    // One line for a disk that stays full, however many try.
    if (this.failure?.message !== failure.message) {
      this.#logger.error({ code, writes: refused.length }, failure.message);
    }
    this.#refusal = failure;
    for (const write of refused) write.settle(failure);
  }

  #noteSuccess(batch: readonly Write[]): void {
    if (this.#refusal === undefined || !batch.some(({ rows }) => rows.length > 0)) return;
    this.#refusal = undefined;
    this.#logger.info({ directory: this.#options.directory }, 'the store takes writes again');
  }

  /** What was acknowledged is in memory and is read from there; what is on its way gets its own answer. */
  #declareDamaged(message: string): void {
    const { directory } = this.#options;
    this.#failure = new PodwrightError(
      'E_DAMAGED',
      `check store ${directory}: ${message}; no write is taken any more${remedyFor('E_DAMAGED', directory)}`,
    );
    this.#logger.error({ code: 'E_DAMAGED' }, this.#failure.message);
  }

  /** The worker is gone: reads go on, writes are over. */
  #fail(code: DiskFailure, message: string): void {
    this.#refuseAll(code, message);
    this.#failure = writeFailure(code, this.#options.directory, message);
  }

  /** Resolves when the writes now on their way have either become durable or failed. */
  async #settled(): Promise<void> {
    await this.#enqueue({}).catch(() => {});
  }

  #housekeep(): void {
    if (this.#stop.signal.aborted) return;
    const nowMs = this.#options.clock.monotonic();
    this.#window.note(nowMs, this.revision);
    void this.#runHousekeeping(nowMs).catch((error: unknown) => {
      this.#logger.warn({ error: String(error) }, 'store housekeeping will be tried again');
    });
    this.#rounds += 1;
    this.#post({ kind: 'inspect', isDeep: this.#rounds % scrubRounds === 0 });
    this.#housekeeping = this.#options.clock.after(housekeepingMs, () => this.#housekeep());
  }

  async #runHousekeeping(nowMs: number): Promise<void> {
    await this.expireLeases();
    const revision = this.#window.cut(nowMs, this.#mvcc);
    if (revision > this.compactRevision) await this.compact(revision);
  }

  /** Between two rounds of housekeeping some clients write many times what may be kept. */
  #trimHistory(): void {
    const revision = this.#window.excess(this.#mvcc);
    if (this.#isTrimming || revision === 0 || this.#stop.signal.aborted) return;
    this.#isTrimming = true;
    void this.compact(revision)
      .catch((error: unknown) => {
        this.#logger.warn({ error: String(error) }, 'the store keeps more history than it should');
      })
      .then(() => (this.#isTrimming = false));
  }
}
