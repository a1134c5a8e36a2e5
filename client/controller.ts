import type { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { KeyedQueue, type KeyOutcome } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { isAlreadyExists, isConflict, isNamespaceTerminating, isNotFound } from './api-error.ts';
import type { Informer } from './client.ts';
import type { Change } from './informer.ts';

/** Which change enqueues which keys. Made by `source`, so that each source keeps its own type of object. */
export interface Source {
  readonly synced: Promise<void>;
  attach(enqueue: (key: string) => void): Disposable;
}

export function source<T>(informer: Informer<T>, keysOf: (change: Change<T>) => Iterable<string>): Source {
  return {
    synced: informer.synced,
    attach: (enqueue) =>
      informer.onChange((change) => {
        for (const key of keysOf(change)) enqueue(key);
      }),
  };
}

/** Every change enqueues the key of the object itself. */
export function ownKey<T>(informer: Informer<T>): Source {
  return source(informer, ({ key }) => [key]);
}

/** Changes enqueue nothing, but work waits for the cache to be full. */
export function onlySynced(informer: Informer<unknown>): Source {
  return source(informer, () => []);
}

export interface ControllerOptions {
  readonly name: string;
  readonly sources: readonly Source[];
  /** Reads the caches, plans, writes. Called for one key once at a time; must be right from any cut point. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<KeyOutcome | void>;
  readonly concurrencyMax?: number;
  readonly backoff?: Backoff;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Controller extends AsyncDisposable {
  readonly name: string;
  enqueue(key: string): void;
  enqueueAfter(key: string, ms: number): void;
  /** Resolves when all sources are synced and nothing waits or runs (timers do not count). */
  idle(): Promise<void>;
}

/** As client-go's default rate limiter per item: 5 ms, doubling, to at most 1000 s; here to at most 60 s. */
const defaultBackoff: Backoff = { initialMs: 5, factor: 2, maxMs: 60_000 };

/** What is in order to happen is told once its retries wait as long as this. */
const quietRetryMs = 5_000;

function isOrdinary(error: unknown): boolean {
  return isConflict(error) || isAlreadyExists(error) || isNotFound(error) || isNamespaceTerminating(error);
}

/** The one frame of all control loops: sources enqueue keys, the queue reconciles them. Work starts when all sources are synced. */
export function runController(options: ControllerOptions): Controller {
  const logger = options.logger.child({ controller: options.name });
  const ready = Promise.all(options.sources.map(({ synced }) => synced));
  const queue = new KeyedQueue<string>({
    clock: options.clock,
    concurrencyMax: options.concurrencyMax ?? 5,
    backoff: options.backoff ?? defaultBackoff,
    work: (key, signal) => options.reconcile(key, signal),
    onError: (key, error, retryMs) => {
      const fields = { key, error: describeError(error), retryMs };
      // Somebody wrote or deleted first: the watch brings the news, and trying again is the ordinary course, for a while.
      if (retryMs < quietRetryMs && isOrdinary(error)) {
        logger.debug(fields, 'reconcile again');
      } else logger.warn(fields, 'reconcile failed');
    },
  });
  let isClosed = false;
  const attached = new DisposableStack();
  // Keys are gathered only once all caches are full: a new handler is told of everything there is.
  const started = ready.then(() => {
    if (isClosed) return;
    for (const from of options.sources) attached.use(from.attach((key) => queue.add(key)));
  });
  return {
    name: options.name,
    enqueue: (key) => queue.add(key),
    enqueueAfter: (key, ms) => queue.addAfter(key, ms),
    idle: async () => {
      await started;
      await queue.idle();
    },
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      attached.dispose();
      await queue[Symbol.asyncDispose]();
    },
  };
}
