import { PodwrightError } from '#base/errors.ts';
import { TimeSlice } from '#base/time-slice.ts';
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
  WatchInterest,
} from '#control-plane/store/store.ts';
import { isSealed, PlainStore } from './plain-store.ts';
import { asFailure, SealedTopics } from './sealed-topics.ts';
import { KeyNeeded, type Sealing } from './sealing.ts';
import type { StoredBytes } from './stored-bytes.ts';

/** Times that an update waits for a key, each for another one. */
const keysMax = 16;
/** Events that wait for a key; of more, the watch ends, and who watches begins anew. */
const waitingEventsMax = 10_000;

/**
 * A store whose values are sealed in the one beneath, whatever engine that is: who reads and writes here sees them as they were, and who
 * reads there, or its files, does not. What was opened is kept with the sealed bytes, so that bytes that are the same stay the same.
 */
export class SealedStore implements Store {
  readonly #store: Store;
  /** Of keys that nothing is sealed under. */
  readonly #plain: Store;
  readonly #sealing: Sealing;
  readonly #opened = new WeakMap<Uint8Array, { bytes: StoredBytes; generation: number }>();
  readonly #events = new WeakMap<StoreEvent, StoreEvent>();
  readonly #batches = new WeakMap<readonly StoreEvent[], readonly StoreEvent[]>();
  readonly #interests = new WeakMap<WatchInterest['topicsOf'], SealedTopics>();

  constructor(store: Store, sealing: Sealing) {
    this.#store = store;
    this.#plain = new PlainStore(store, sealing);
    this.#sealing = sealing;
  }

  get revision(): number {
    return this.#store.revision;
  }

  get compactRevision(): number {
    return this.#store.compactRevision;
  }

  get failure(): PodwrightError | undefined {
    return this.#store.failure;
  }

  async get(key: string, revision?: number): Promise<StoredValue | undefined> {
    return this.#whole(await this.#store.get(key, revision));
  }

  async range(prefix: string, options: Parameters<Store['range']>[1] = {}): Promise<RangeResult> {
    if (!this.#sealing.mayHold(prefix)) return this.#plain.range(prefix, options);
    const result = await this.#store.range(prefix, options);
    const slice = new TimeSlice();
    const values: StoredValue[] = [];
    for (const sealed of result.values) {
      try {
        const value = await this.#whole(sealed);
        if (value !== undefined) values.push(value);
      } catch (error) {
        throw this.#sealing.inList(sealed.key, error);
      }
      if (slice.isOver()) await slice.next();
    }
    return { ...result, values };
  }

  async commit({ expect, ops }: StoreTxn): Promise<TxnResult> {
    const result = await this.#store.commit({ expect, ops: this.#sealAll(ops) });
    return result.ok
      ? { ...result, values: await this.#wholeAll(result.values) }
      : { ...result, current: await this.#wholeAll(result.current) };
  }

  async update(
    key: string,
    decide: (current: StoredValue | undefined, read: StoreReader) => StoreChange | undefined,
  ): Promise<UpdateResult> {
    for (let keys = 0; ; keys++) {
      try {
        const result = await this.#store.update(key, (current, read) => {
          const change = decide(this.#open(current), (other) => this.#open(read(other)));
          return change && { ...change, ops: this.#sealAll(change.ops) };
        });
        const [previous, value] = await this.#wholeAll([result.previous, result.value]);
        return { ...result, previous, value };
      } catch (error) {
        if (!(error instanceof KeyNeeded) || keys >= keysMax) throw error;
        await error.ready;
      }
    }
  }

  watch(
    prefix: string,
    afterRevision: number,
    onEvents: (events: readonly StoreEvent[]) => void,
    options: StoreWatchOptions = {},
  ): StoreWatch {
    if (!this.#sealing.mayHold(prefix)) {
      return this.#plain.watch(prefix, afterRevision, onEvents, options);
    }
    const { interest, onEnd } = options;
    const topics = interest && this.#topicsFor(interest);
    const delivery = new Delivery({
      open: (events) => this.#openBatch(events),
      wants: (event) => interest === undefined || interest.topicsOf(event).includes(interest.topic),
      onEvents,
      onEnd: (error) => {
        watch[Symbol.dispose]();
        onEnd?.(error);
      },
    });
    const watched = this.#store.watch(prefix, afterRevision, (events) => delivery.take(events), {
      onEnd: (error) => delivery.end(error),
      interest: topics && interest && { topicsOf: topics.topicsOf, topic: interest.topic },
    });
    if (topics !== undefined && interest !== undefined) topics.add(interest.topic);
    const watch: StoreWatch = {
      get isCurrent() {
        return watched.isCurrent && !delivery.isWaiting;
      },
      [Symbol.dispose]: () => {
        if (delivery.isOver) return;
        delivery.isOver = true;
        watched[Symbol.dispose]();
        if (topics !== undefined && interest !== undefined) topics.delete(interest.topic);
      },
    };
    return watch;
  }

  compact(revision: number): Promise<void> {
    return this.#store.compact(revision);
  }

  grantLease(ttlSeconds: number): Promise<number> {
    return this.#store.grantLease(ttlSeconds);
  }

  revokeLease(lease: number): Promise<void> {
    return this.#store.revokeLease(lease);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#store[Symbol.asyncDispose]());
  }

  #sealAll(ops: readonly StoreOp[]): readonly StoreOp[] {
    return ops.map((op) => {
      if (op.op === 'delete' || !this.#sealing.mayHold(op.key)) return op;
      const sealed = this.#sealing.seal(op.key, op.value);
      const { generation } = this.#sealing;
      // Not for what stays as it is: those bytes are their own.
      if (sealed !== op.value)
        this.#opened.set(sealed, { bytes: { value: op.value, isStale: false }, generation });
      return { ...op, value: sealed };
    });
  }

  #open(sealed: StoredValue): StoredValue;
  #open(sealed: StoredValue | undefined): StoredValue | undefined;
  #open(sealed: StoredValue | undefined): StoredValue | undefined {
    if (sealed === undefined) return undefined;
    if (!isSealed(sealed.value) && !this.#sealing.mayHold(sealed.key)) return sealed;
    const { value, isStale } = this.#bytesOf(sealed);
    return value === sealed.value && !isStale ? sealed : { ...sealed, value, isStale };
  }

  #bytesOf({ key, value: sealed }: StoredValue): StoredBytes {
    const { generation } = this.#sealing;
    const known = this.#opened.get(sealed);
    if (known?.generation === generation) return known.bytes;
    const opened = this.#sealing.open(key, sealed);
    // The same bytes as before, of which others may have kept what they made.
    const bytes = known === undefined ? opened : { value: known.bytes.value, isStale: opened.isStale };
    this.#opened.set(sealed, { bytes, generation });
    return bytes;
  }

  async #whole(sealed: StoredValue | undefined): Promise<StoredValue | undefined> {
    for (let keys = 0; ; keys++) {
      try {
        return this.#open(sealed);
      } catch (error) {
        if (!(error instanceof KeyNeeded) || keys >= keysMax) throw error;
        await error.ready;
      }
    }
  }

  async #wholeAll(values: readonly (StoredValue | undefined)[]): Promise<(StoredValue | undefined)[]> {
    const whole: (StoredValue | undefined)[] = [];
    for (const value of values) whole.push(await this.#whole(value));
    return whole;
  }

  #openBatch(events: readonly StoreEvent[]): readonly StoreEvent[] {
    let opened = this.#batches.get(events);
    if (opened === undefined) {
      this.#batches.set(events, (opened = events.map((event) => this.#openEvent(event))));
    }
    return opened;
  }

  #openEvent(event: StoreEvent): StoreEvent {
    let opened = this.#events.get(event);
    if (opened === undefined) {
      const { current, previous } = event;
      opened = { ...event, current: this.#open(current), previous: this.#open(previous) };
      this.#events.set(event, opened);
    }
    return opened;
  }

  #topicsFor({ topicsOf }: WatchInterest): SealedTopics {
    let topics = this.#interests.get(topicsOf);
    if (topics === undefined) {
      topics = new SealedTopics((event) => topicsOf(this.#openEvent(event)));
      this.#interests.set(topicsOf, topics);
    }
    return topics;
  }
}

interface DeliveryParts {
  readonly open: (events: readonly StoreEvent[]) => readonly StoreEvent[];
  readonly wants: (event: StoreEvent) => boolean;
  readonly onEvents: (events: readonly StoreEvent[]) => void;
  readonly onEnd: (error: PodwrightError) => void;
}

/** Tells a watch its events in order: at once, or when the key has come that one of them needs. */
class Delivery {
  isOver = false;
  readonly #parts: DeliveryParts;
  readonly #waiting: (readonly StoreEvent[])[] = [];
  #waitingEvents = 0;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  take(events: readonly StoreEvent[]): void {
    if (this.isOver) return;
    if (this.#waiting.length === 0) {
      const needed = this.#tell(events);
      if (needed === undefined) return;
      this.#hold(events);
      void this.#goOn(needed);
      return;
    }
    this.#hold(events);
  }

  end(error: PodwrightError): void {
    if (!this.isOver) this.#parts.onEnd(error);
  }

  #hold(events: readonly StoreEvent[]): void {
    this.#waiting.push(events);
    this.#waitingEvents += events.length;
    if (this.#waitingEvents > waitingEventsMax) {
      this.end(new PodwrightError('E_LIMIT', `watch store: ${waitingEventsMax} events wait for a key`));
    }
  }

  /** The key that has to come first; undefined: they were told, or the watch is over. */
  #tell(events: readonly StoreEvent[]): KeyNeeded | undefined {
    let opened: readonly StoreEvent[];
    try {
      opened = this.#parts.open(events);
    } catch (error) {
      if (error instanceof KeyNeeded) return error;
      this.end(asFailure(error));
      return undefined;
    }
    this.#parts.onEvents(opened);
    return undefined;
  }

  async #goOn(first: KeyNeeded): Promise<void> {
    let needed: KeyNeeded | undefined = first;
    while (!this.isOver && this.#waiting.length > 0) {
      try {
        if (needed !== undefined) await needed.ready;
      } catch (error) {
        this.end(asFailure(error));
        return;
      }
      const events = this.#waiting[0] ?? [];
      needed = this.#tellWanted(events);
      if (needed !== undefined) continue;
      this.#waiting.shift();
      this.#waitingEvents -= events.length;
    }
  }

  /** Of those that came as nobody could say what they are about, some are for others. */
  #tellWanted(events: readonly StoreEvent[]): KeyNeeded | undefined {
    let opened: readonly StoreEvent[];
    try {
      opened = this.#parts.open(events).filter((event) => this.#parts.wants(event));
    } catch (error) {
      if (error instanceof KeyNeeded) return error;
      this.end(asFailure(error));
      return undefined;
    }
    if (opened.length > 0) this.#parts.onEvents(opened);
    return undefined;
  }
}
