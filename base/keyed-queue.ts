import { backoffMs, type Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { QueueWatch } from '#base/counts/queue-counts.ts';
import { currentTurn, nextTurn, TurnTime } from './time-slice.ts';

/** What a worker says of a key: done, look again later, or (by throwing) try again with back-off. */
export type KeyOutcome = { readonly kind: 'done' } | { readonly kind: 'again'; readonly afterMs: number };

/** There is nothing more to do for the key until something changes. */
export const done: KeyOutcome = { kind: 'done' };

export interface KeyedQueueOptions<K> {
  readonly clock: Clock;
  readonly concurrencyMax: number;
  readonly backoff: Backoff;
  /** 0 ≤ random() < 1: a retry waits between half of its back-off and all of it, so that keys that failed together part. Default: all. */
  readonly random?: (() => number) | undefined;
  readonly work: (key: K, signal: AbortSignal) => Promise<KeyOutcome | void>;
  /** Told of each failure; the key is retried after `retryMs`. */
  readonly onError: (key: K, error: unknown, retryMs: number) => void;
  /** Told of what the queue does: what metrics are made of. */
  readonly watch?: QueueWatch | undefined;
}

/** Of all queues of the process: what their keys have done at once is a part of one turn of the event loop. */
const workTime = new TurnTime();

/**
 * Level-triggered work by key: a key is worked on by one worker at a time; added while it is worked on, it is worked on
 * once more; added twice while it waits, once. (The contract of client-go's workqueue.) In one turn of the event loop a key is worked on
 * once: of a thousand changes that come together the first may not have a look at all for itself, and the next another.
 */
export class KeyedQueue<K extends string> implements AsyncDisposable {
  readonly #options: KeyedQueueOptions<K>;
  readonly #waiting = new Set<K>(); // ready, in order of arrival
  readonly #running = new Map<K, Promise<void>>();
  readonly #chosen = new Set<K>(); // in #running, and its work has not begun
  readonly #dirty = new Set<K>(); // added while its work ran
  readonly #worked = { turn: -1, keys: new Set<K>() }; // on which keys work began in that turn
  readonly #timers = new Map<K, { readonly dueMs: number; readonly timer: Disposable }>();
  readonly #failures = new Map<K, number>();
  readonly #abort = new AbortController();

  constructor(options: KeyedQueueOptions<K>) {
    this.#options = options;
  }

  /** Works on the key as soon as a worker is free. */
  add(key: K): void {
    if (this.#abort.signal.aborted) return;
    this.#cancelTimer(key);
    if (this.#running.has(key)) {
      // Chosen but not begun yet: it will see whatever this add is about.
      if (this.#chosen.has(key) || this.#dirty.has(key)) return;
      this.#dirty.add(key);
      this.#options.watch?.added(key);
      return;
    }
    if (!this.#waiting.has(key)) this.#options.watch?.added(key);
    this.#waiting.add(key);
    this.#pump();
  }

  /** Works on the key in `ms`, or sooner if it is already due sooner. */
  addAfter(key: K, ms: number): void {
    if (this.#abort.signal.aborted) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const dueMs = this.#options.clock.monotonic() + ms;
    const planned = this.#timers.get(key);
    if (planned !== undefined && planned.dueMs <= dueMs) return;
    this.#cancelTimer(key);
    const timer = this.#options.clock.after(ms, () => this.add(key));
    this.#timers.set(key, { dueMs, timer });
  }

  /** Forgets the failures of a key, so that its next failure waits the initial time again. */
  forget(key: K): void {
    this.#failures.delete(key);
  }

  get size(): number {
    return this.#waiting.size + this.#running.size + this.#timers.size;
  }

  /** Resolves when nothing waits or runs (timers do not count). */
  async idle(): Promise<void> {
    while (this.#running.size > 0 || this.#waiting.size > 0) await Promise.allSettled(this.#running.values());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new DOMException('queue closed', 'AbortError'));
    this.#waiting.clear();
    for (const { timer } of this.#timers.values()) timer[Symbol.dispose]();
    this.#timers.clear();
    this.#options.watch?.closed();
    await Promise.allSettled(this.#running.values());
  }

  /** What came while it was worked on has been counted then. */
  #addAgain(key: K): void {
    this.#cancelTimer(key);
    this.#waiting.add(key);
  }

  #cancelTimer(key: K): void {
    this.#timers.get(key)?.timer[Symbol.dispose]();
    this.#timers.delete(key);
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.concurrencyMax) return;
      this.#waiting.delete(key);
      this.#chosen.add(key);
      this.#running.set(key, this.#run(key));
    }
  }

  async #run(key: K): Promise<void> {
    await Promise.resolve(); // The caller of add() never runs work itself.
    while (!this.#mayWork(key)) await nextTurn();
    this.#chosen.delete(key);
    this.#options.watch?.begun(key);
    let afterMs: number | undefined;
    try {
      this.#abort.signal.throwIfAborted();
      const outcome = (await this.#options.work(key, this.#abort.signal)) ?? done;
      this.#failures.delete(key);
      if (outcome.kind === 'again') afterMs = outcome.afterMs;
    } catch (error) {
      if (!this.#abort.signal.aborted) afterMs = this.#noteFailure(key, error);
    }
    this.#running.delete(key);
    this.#options.watch?.ended(key);
    if (this.#abort.signal.aborted) return;
    if (afterMs !== undefined) this.#options.watch?.retried();
    if (this.#dirty.delete(key)) this.#addAgain(key);
    else if (afterMs !== undefined) this.addAfter(key, afterMs);
    this.#pump();
  }

  /** Notes that it does, if it may. */
  #mayWork(key: K): boolean {
    const turn = currentTurn();
    if (turn !== this.#worked.turn) {
      this.#worked.turn = turn;
      this.#worked.keys.clear();
    }
    if (!this.#abort.signal.aborted && (this.#worked.keys.has(key) || !workTime.isLeft())) return false;
    this.#worked.keys.add(key);
    return true;
  }

  #noteFailure(key: K, error: unknown): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const spread = 0.5 + (this.#options.random?.() ?? 1) / 2;
    const retryMs = backoffMs(this.#options.backoff, failures) * spread;
    this.#options.onError(key, error, retryMs);
    return retryMs;
  }
}
