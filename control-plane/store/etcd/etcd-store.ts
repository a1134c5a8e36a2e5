import { randomInt } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { inSlices } from '#base/time-slice.ts';
import { createTurns } from '#base/turns.ts';
import type { Event } from '#proto/etcd/rpc.ts';
import { HistoryWindow } from '#control-plane/store/history-window.ts';
import type {
  RangeResult,
  Store,
  StoreChange,
  StoredValue,
  StoreEvent,
  StoreOp,
  StoreReader,
  StoreTxn,
  StoreWatch,
  StoreWatchOptions,
  TxnResult,
  UpdateResult,
} from '#control-plane/store/store.ts';
import { createEtcdClient, requestMsMax, type EtcdClient, type EtcdClientOptions } from './client.ts';
import { packIdleValues } from '#control-plane/store/packed/value-packer.ts';
import { keepCompacting } from './compactor.ts';
import { followEtcd } from './follow.ts';
import { EtcdImage } from './image.ts';
import { EtcdWriter, type Written } from './writer.ts';

export interface EtcdStoreOptions extends EtcdClientOptions {
  readonly logger?: Logger;
  /** Under which the keys of this store are. Default `/registry/`. */
  readonly prefix?: string;
}

const housekeepingMs = 10_000;
/** How long the image may be behind before that is a failure. */
const unfollowedMsMax = 2000;
/** Ids of leases are chosen here, at random, and such that a number holds them. */
const leaseIdMax = 2 ** 48 - 1;

/**
 * Opens the engine whose state is in etcd, so that several servers can share it. Reads are answered from an image in memory that
 * follows etcd; writes go to etcd, and resolve when the image holds them. What is promised: docs/decisions/0013-shared-store.md.
 * @throws E_USAGE; E_CONNECTION, E_TIMEOUT, E_PERMISSION when etcd does not answer
 */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  const { clock, prefix = '/registry/' } = options;
  await using undo = new AsyncDisposableStack();

  const client = undo.use(await createEtcdClient(options));
  const image = new EtcdImage({ client, clock, prefix });
  await image.load();
  const store = undo.use(new EtcdStore(options, client, image));
  await store.fresh(); // Clients of another server, or of this one before, know revisions as new as this.
  undo.move();
  return store;
}

class EtcdStore implements Store {
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #client: EtcdClient;
  readonly #image: EtcdImage;
  readonly #writer: EtcdWriter;
  readonly #turns = createTurns();
  /** Keys that an update is writing now, with its end. */
  readonly #writing = new Map<string, Promise<void>>();
  readonly #window = new HistoryWindow({});
  readonly #stop = new AbortController();
  readonly #following: Promise<void>;
  readonly #compacting: Disposable;
  readonly #packing: Disposable;
  #housekeeping: Disposable;
  #isCutting = false;
  /** The question for the newest revision that is under way, and the one after it, which asks for all who came since. */
  #asked: Promise<void> = Promise.resolve();
  #asking: Promise<void> | undefined;
  /** Why the image does not follow now, and since when. */
  #lost: PodwrightError | undefined;
  #lostAtMs = 0;
  /** Of the last write, until one succeeds. */
  #refusal: PodwrightError | undefined;
  /** For good. */
  #failure: PodwrightError | undefined;

  constructor(
    { clock, prefix = '/registry/', logger }: EtcdStoreOptions,
    client: EtcdClient,
    image: EtcdImage,
  ) {
    this.#prefix = prefix;
    this.#clock = clock;
    this.#logger = logger ?? silentLogger;
    this.#client = client;
    this.#image = image;
    this.#writer = new EtcdWriter(client);
    const follower = {
      next: () => image.revision + 1,
      onEvents: (events: readonly Event[]) => {
        image.apply(events);
        this.#cutHistory(this.#window.excess(image.mvcc));
      },
      onHeader: image.checkCluster.bind(image),
      onGap: () => this.#startAnew(),
      onState: (failure: PodwrightError | undefined) => this.#noteState(failure),
    };
    this.#following = followEtcd(client, follower, clock, this.#stop.signal);
    this.#compacting = keepCompacting(client, clock, this.#logger);
    this.#housekeeping = clock.after(housekeepingMs, () => this.#housekeep());
    this.#packing = packIdleValues(clock, () => image.mvcc.packable);
  }

  get revision(): number {
    return this.#image.revision;
  }

  get compactRevision(): number {
    return this.#image.mvcc.compactRevision;
  }

  get failure(): PodwrightError | undefined {
    // A member may go, or its leader: that is none as long as another one is found.
    const isLost = this.#lost !== undefined && this.#clock.monotonic() - this.#lostAtMs > unfollowedMsMax;
    return this.#failure ?? (isLost ? this.#lost : undefined) ?? this.#refusal;
  }

  async get(key: string, revision?: number): Promise<StoredValue | undefined> {
    await this.#readable(revision);
    return this.#image.mvcc.get(key, revision);
  }

  async range(
    prefix: string,
    options: { readonly from?: string; readonly limit?: number; readonly revision?: number } = {},
  ): Promise<RangeResult> {
    await this.#readable(options.revision);
    return inSlices(this.#image.mvcc.range(prefix, options));
  }

  commit(txn: StoreTxn): Promise<TxnResult> {
    return this.#attempt(txn);
  }

  async update(
    key: string,
    decide: (current: StoredValue | undefined, read: StoreReader) => StoreChange | undefined,
  ): Promise<UpdateResult> {
    this.#checkOpen();
    const endMs = this.#clock.monotonic() + requestMsMax;
    using _turn = await this.#turns.take(key);

    let newer = inImage;
    while (this.#clock.monotonic() < endMs) {
      const decision = this.#decide(key, decide, newer);
      const done = decision.ops.length > 0 ? await this.#carryOut(decision) : await this.#confirm(decision);
      if (!('states' in done)) return done;
      newer = done;
    }
    throw new PodwrightError('E_TIMEOUT', `update ${key} in etcd: others were first for ${requestMsMax} ms`);
  }

  watch(
    prefix: string,
    afterRevision: number,
    onEvents: (events: readonly StoreEvent[]) => void,
    options?: StoreWatchOptions,
  ): StoreWatch {
    this.#checkOpen();
    return this.#image.hub.add(prefix, afterRevision, onEvents, options);
  }

  async compact(revision: number): Promise<void> {
    await this.#readable(revision);
    if (revision > this.revision) {
      throw new PodwrightError('E_INVALID', `compact at revision ${revision}: beyond ${this.revision}`);
    }
    if (revision <= this.compactRevision) return;
    try {
      await this.#client.ask('compact', this.#client.services['etcdserverpb.KV'].Compact, { revision });
    } catch (error) {
      if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error; // Somebody else has compacted further.
    }
    await this.#image.compact(revision);
  }

  async grantLease(ttlSeconds: number): Promise<number> {
    this.#checkOpen();
    const { LeaseGrant } = this.#client.services['etcdserverpb.Lease'];
    for (;;) {
      const id = randomInt(1, leaseIdMax);
      try {
        await this.#client.ask('grant lease', LeaseGrant, { ID: id, TTL: ttlSeconds });
        return id;
      } catch (error) {
        if (!isPodwrightError(error, 'E_EXISTS')) throw error; // Of another, or of a try whose answer was lost.
      }
    }
  }

  async revokeLease(lease: number): Promise<void> {
    this.#checkOpen();
    const { LeaseRevoke } = this.#client.services['etcdserverpb.Lease'];
    try {
      await this.#client.ask('revoke lease', LeaseRevoke, { ID: lease });
    } catch (error) {
      if (!isPodwrightError(error, 'E_NOT_FOUND')) throw error;
    }
    await this.fresh();
  }

  /** Resolves when the image holds all that anybody had written before the call. Who asks while a question is under way shares the next. */
  fresh(): Promise<void> {
    if (this.#asking !== undefined) return this.#asking;
    const asking = this.#asked.then(() => {
      this.#asking = undefined;
      const answered = this.#catchUp();
      this.#asked = answered.catch(() => {});
      return answered;
    });
    this.#asking = asking;
    return asking;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#housekeeping[Symbol.dispose]();
    this.#compacting[Symbol.dispose]();
    this.#packing[Symbol.dispose]();
    this.#image.close(closed());
    this.#client[Symbol.dispose]();
    await this.#following;
  }

  async #catchUp(): Promise<void> {
    const before = this.revision;
    const newest = await this.#image.newestRevision();
    if (newest < before) {
      const message = `read etcd: it is at revision ${newest}, and was at ${before}: it was put back to an older state; start the servers again`;
      this.#failure ??= new PodwrightError('E_DAMAGED', message);
      throw this.#failure;
    }
    await this.#image.reached(newest, requestMsMax);
  }

  /** A read of a revision that the image has needs nobody else; any other is as new as etcd. */
  async #readable(revision: number | undefined): Promise<void> {
    this.#checkOpen();
    if (revision === undefined || revision > this.revision) await this.fresh();
    this.#checkOpen();
  }

  #decide(
    key: string,
    decide: (current: StoredValue | undefined, read: StoreReader) => StoreChange | undefined,
    newer: Newer,
  ): Decision {
    const shown = new Map<string, number>();
    const isNewer = newer.revision > this.revision;
    const read: StoreReader = (asked) => {
      const found =
        isNewer && newer.states.has(asked) ? newer.states.get(asked) : this.#image.mvcc.get(asked);
      shown.set(asked, found?.modRevision ?? 0);
      return found;
    };
    const previous = read(key);
    try {
      const { ops = [], expect = [] } = decide(previous, read) ?? {};
      return { key, previous, shown, ops, expect };
    } catch (thrown) {
      return { key, previous, shown, ops: [], expect: [], thrown };
    }
  }

  /** Writes what was decided, unless it was decided on what is not so any more. */
  async #carryOut({ key, previous, ops, expect: others }: Decision): Promise<UpdateResult | Newer> {
    const expect = [{ key, modRevision: previous?.modRevision ?? 0 }, ...others];
    // Who would lose against a write of this very server waits for it, and decides on what it wrote.
    const busy = [...ops, ...expect].find((one) => this.#writing.has(one.key));
    if (busy !== undefined) {
      for (let wait = this.#writing.get(busy.key); wait; wait = this.#writing.get(busy.key)) await wait;
      return inImage;
    }
    using _marks = this.#markWriting(ops.map((op) => op.key));

    const result = await this.#attempt({ expect, ops });
    if (!result.ok) {
      // Decided again on the answer: the image has it later, and others would be first for ever.
      const states = new Map(expect.map((one, index) => [one.key, result.current[index]]));
      return { revision: result.revision, states };
    }
    const at = ops.findIndex((op) => op.key === key);
    return { revision: result.revision, previous, value: at < 0 ? previous : result.values[at] };
  }

  /**
   * Of what writes nothing, a refusal too, it has to be known that it was decided on what is there.
   * @throws what was thrown instead of a decision
   */
  async #confirm({ previous, shown, thrown }: Decision): Promise<UpdateResult | Newer> {
    await this.fresh();
    for (const [key, revision] of shown) {
      if ((this.#image.mvcc.get(key)?.modRevision ?? 0) !== revision) return inImage;
    }
    if (thrown !== undefined) throw thrown;
    return { revision: this.revision, previous, value: previous };
  }

  #markWriting(keys: readonly string[]): Disposable {
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const key of keys) this.#writing.set(key, promise);
    return {
      [Symbol.dispose]: () => {
        for (const key of keys) this.#writing.delete(key);
        resolve();
      },
    };
  }

  async #attempt(txn: StoreTxn): Promise<TxnResult> {
    this.#checkWrite(txn);
    const written = await this.#write(txn);
    const { revision } = written;
    if (!written.isDone) return { ok: false, revision, current: written.current };
    await this.#image.reached(revision, requestMsMax);
    return { ok: true, revision, values: txn.ops.map((op) => this.#written(op, revision)) };
  }

  async #write(txn: StoreTxn): Promise<Written> {
    try {
      const written = await this.#writer.write(txn);
      if (txn.ops.length > 0) this.#noteWritten();
      return written;
    } catch (error) {
      if (isPodwrightError(error, 'E_NO_SPACE')) this.#noteRefused(error);
      throw error;
    }
  }

  /** A put as it is stored. */
  #written(op: StoreOp, revision: number): StoredValue | undefined {
    if (op.op === 'delete') return undefined;
    const { key, value } = op;
    const { lease = 0 } = op;
    const own = { key, value, createRevision: revision, modRevision: revision, version: 1, lease };
    // The image started anew since, and begins later: that something was there before is not known any more.
    if (revision < this.compactRevision) return own;
    return this.#image.mvcc.get(key, revision) ?? own;
  }

  async #startAnew(): Promise<void> {
    this.#logger.warn(
      { revision: this.revision },
      'etcd was compacted beyond what was read: everything is read again',
    );
    await this.#image.load();
  }

  #noteState(failure: PodwrightError | undefined): void {
    if (this.#lost === undefined && failure !== undefined) {
      this.#lostAtMs = this.#clock.monotonic();
      this.#logger.warn({ code: failure.code }, failure.message);
    }
    if (this.#lost !== undefined && failure === undefined) {
      this.#logger.info({ etcd: this.#client.address }, 'etcd is followed again');
    }
    this.#lost = failure;
  }

  #noteRefused(error: PodwrightError): void {
    if (this.#refusal === undefined) this.#logger.error({ code: error.code }, error.message);
    this.#refusal = error;
  }

  #noteWritten(): void {
    if (this.#refusal === undefined) return;
    this.#refusal = undefined;
    this.#logger.info({ etcd: this.#client.address }, 'etcd takes writes again');
  }

  #housekeep(): void {
    this.#housekeeping = this.#clock.after(housekeepingMs, () => this.#housekeep());
    const nowMs = this.#clock.monotonic();
    this.#window.note(nowMs, this.revision);
    this.#cutHistory(this.#window.cut(nowMs, this.#image.mvcc));
  }

  /** Only what is in memory: etcd is compacted by whoever has the turn. */
  #cutHistory(revision: number): void {
    if (this.#isCutting || revision <= this.compactRevision) return;
    this.#isCutting = true; // It goes by steps, and until the last there seems to be too much.
    this.#image
      .compact(revision)
      .catch((error: unknown) => {
        this.#logger.warn({ error: describeError(error) }, 'history in memory will be cut later');
      })
      .then(() => (this.#isCutting = false));
  }

  #checkOpen(): void {
    if (this.#stop.signal.aborted) throw closed();
  }

  #checkWrite({ ops }: StoreTxn): void {
    this.#checkOpen();
    if (this.#failure !== undefined) throw this.#failure;
    if (new Set(ops.map(({ key }) => key)).size < ops.length) {
      throw new PodwrightError('E_INVALID', 'commit transaction: a key is written twice');
    }
    const foreign = ops.find(({ key }) => !key.startsWith(this.#prefix));
    if (foreign !== undefined) {
      throw new PodwrightError('E_INVALID', `write ${foreign.key}: not under ${this.#prefix}`);
    }
  }
}

/** What an update came to decide, and on what. */
interface Decision extends Required<StoreChange> {
  readonly key: string;
  readonly previous: StoredValue | undefined;
  /** The revision of each key that was looked at. */
  readonly shown: ReadonlyMap<string, number>;
  readonly thrown?: unknown;
}

/** What is known of some keys that an update lost against; of use while the image has not come to that revision. */
interface Newer {
  readonly revision: number;
  readonly states: ReadonlyMap<string, StoredValue | undefined>;
}

/** The image has all that there is to know. */
const inImage: Newer = { revision: 0, states: new Map() };

function closed(): PodwrightError {
  return new PodwrightError('E_CLOSED', 'use store: it is closed');
}
