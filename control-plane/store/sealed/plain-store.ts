import type { PodwrightError } from '#base/errors.ts';
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
} from '#control-plane/store/store.ts';
import type { Sealing } from './sealing.ts';
import { asFailure, SealedTopics } from './sealed-topics.ts';

/** What every sealed value begins with, whoever sealed it (apiserver/pkg/storage/value). */
const sealedStart = Buffer.from('k8s:enc:');

/** Whether somebody sealed the value: no object begins so. */
export function isSealed(value: Uint8Array): boolean {
  return value[0] === sealedStart[0] && sealedStart.equals(value.subarray(0, sealedStart.length));
}

/**
 * A store whose values are as they are. One that another server, or this one in former days, has sealed is told by its error, and never
 * taken for an object.
 */
export class PlainStore implements Store {
  readonly peek: Store['peek'];
  readonly isKnownEmpty: Store['isKnownEmpty'];
  readonly #store: Store;
  readonly #sealing: Pick<Sealing, 'open' | 'inList'>;
  readonly #interests = new WeakMap<WatchInterest['topicsOf'], SealedTopics>();
  /** What was looked at: an engine gives the same values again for a range that has not changed. */
  readonly #plainRanges = new WeakSet<RangeResult['values']>();

  /** `sealing` opens what is sealed all the same, and says why that cannot be. */
  constructor(store: Store, sealing: Pick<Sealing, 'open' | 'inList'>) {
    this.#store = store;
    this.#sealing = sealing;
    this.peek = store.peek && ((key) => this.#checked(store.peek?.(key)));
    this.isKnownEmpty = store.isKnownEmpty && ((prefix) => store.isKnownEmpty?.(prefix) === true);
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
    return this.#checked(await this.#store.get(key, revision));
  }

  async range(prefix: string, options: Parameters<Store['range']>[1] = {}): Promise<RangeResult> {
    const result = await this.#store.range(prefix, options);
    if (this.#plainRanges.has(result.values)) return result;
    const sealed = result.values.find(({ value }) => isSealed(value));
    if (sealed === undefined) {
      this.#plainRanges.add(result.values);
      return result;
    }
    try {
      this.#checked(sealed);
    } catch (error) {
      throw this.#sealing.inList(sealed.key, error);
    }
    return result;
  }

  async commit(txn: StoreTxn): Promise<TxnResult> {
    const result = await this.#store.commit(txn);
    if (!result.ok) for (const current of result.current) this.#checked(current);
    return result;
  }

  update(
    key: string,
    decide: (current: StoredValue | undefined, read: StoreReader) => StoreChange | undefined,
  ): Promise<UpdateResult> {
    return this.#store.update(key, (current, read) =>
      decide(this.#checked(current), (other) => this.#checked(read(other))),
    );
  }

  watch(
    prefix: string,
    afterRevision: number,
    onEvents: (events: readonly StoreEvent[]) => void,
    { onEnd, interest }: StoreWatchOptions = {},
  ): StoreWatch {
    const topics = interest && this.#topicsFor(interest);
    let isOver = false;
    const tell = (events: readonly StoreEvent[]): void => {
      if (isOver) return;
      try {
        for (const event of events) this.#checkEvent(event);
      } catch (error) {
        watch[Symbol.dispose]();
        return onEnd?.(asFailure(error));
      }
      onEvents(events);
    };
    const watched = this.#store.watch(prefix, afterRevision, tell, {
      ...{ onEnd, interest: topics && interest && { topicsOf: topics.topicsOf, topic: interest.topic } },
    });
    if (topics !== undefined && interest !== undefined) topics.add(interest.topic);
    const watch: StoreWatch = {
      get isCurrent() {
        return watched.isCurrent;
      },
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
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

  #checked<T extends StoredValue | undefined>(found: T): T {
    if (found !== undefined && isSealed(found.value)) this.#sealing.open(found.key, found.value);
    return found;
  }

  #checkEvent({ current, previous }: StoreEvent): void {
    this.#checked(current);
    this.#checked(previous);
  }

  #topicsFor({ topicsOf }: WatchInterest): SealedTopics {
    let topics = this.#interests.get(topicsOf);
    if (topics === undefined) {
      topics = new SealedTopics((event) => {
        this.#checkEvent(event);
        return topicsOf(event);
      });
      this.#interests.set(topicsOf, topics);
    }
    return topics;
  }
}
