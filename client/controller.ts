import type { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { done, KeyedQueue, type KeyOutcome } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { QueueCounts } from '#base/counts/queue-counts.ts';
import { isAlreadyExists, isConflict, isNamespaceTerminating, isNotFound } from './api-error.ts';
import type { Informer } from './client.ts';
import type { Change } from './informer.ts';

/** Which change enqueues which keys. Made by `source`, so that each source keeps its own type of object. */
export interface Source {
  readonly synced: Promise<void>;
  attach(enqueue: (key: string) => void): Disposable;
}

/** The changes of an informer's objects enqueue the keys that `keysOf` makes of them. */
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
  readonly concurrencyMax?: number | undefined;
  readonly backoff?: Backoff;
  /** 0 ≤ random() < 1: spreads retries. */
  readonly random?: (() => number) | undefined;
  /** The signal of a `reconcile` aborts after so long; what it then throws is a failure like any other. Default: never. */
  readonly timeoutMs?: number | undefined;
  /** Told of each end of `reconcile`: what metrics are made of. */
  readonly onReconciled?: ((reconciled: Reconciled) => void) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Reconciled {
  readonly controller: string;
  readonly key: string;
  readonly outcome: 'done' | 'again' | 'failed';
  readonly durationMs: number;
  /** Keys that wait, run, or are due later. */
  readonly queueLength: number;
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

/** Of this process, by the name of their controller; they count on where one is started again, as counters do. */
const counts = new Map<string, QueueCounts>();

/** What the queue of a controller of that name did in this process. */
export function countsOf(controller: string): QueueCounts {
  const known = counts.get(controller) ?? new QueueCounts();
  counts.set(controller, known);
  return known;
}

/** Names of controllers that ran in this process. */
export const countedControllers = (): readonly string[] => [...counts.keys()];

/** The one frame of all control loops: sources enqueue keys, the queue reconciles them. Work starts when all sources are synced. */
export function runController(options: ControllerOptions): Controller {
  const logger = options.logger.child({ controller: options.name });
  const ready = Promise.all(options.sources.map(({ synced }) => synced));
  const queue: KeyedQueue<string> = new KeyedQueue<string>({
    clock: options.clock,
    concurrencyMax: options.concurrencyMax ?? 5,
    backoff: options.backoff ?? defaultBackoff,
    random: options.random,
    watch: countsOf(options.name).open(options.clock),
    work: (key, signal) => reconcileOnce(options, { key, signal, queueLength: () => queue.size }),
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
  let isStarted = false;
  void started.then(() => (isStarted = true));
  /** What is asked for before the caches are full waits for them: a plan of half of what there is might undo the rest. */
  const whenStarted = (act: () => void): void => {
    if (isStarted) act();
    else
      void started.then(() => {
        if (!isClosed) act();
      });
  };
  return {
    name: options.name,
    enqueue: (key) => whenStarted(() => queue.add(key)),
    enqueueAfter: (key, ms) => whenStarted(() => queue.addAfter(key, ms)),
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

/** In its time, and told of. */
async function reconcileOnce(
  { name, reconcile, timeoutMs, clock, onReconciled }: ControllerOptions,
  { key, signal, queueLength }: { key: string; signal: AbortSignal; queueLength: () => number },
): Promise<KeyOutcome> {
  const late = new AbortController();
  const stop = (): void => late.abort(signal.reason);
  // By hand: a signal of signals for each run would stay with the controller's until it is collected.
  if (signal.aborted) stop();
  else if (timeoutMs !== undefined) signal.addEventListener('abort', stop, { once: true });
  using _timer =
    timeoutMs === undefined
      ? undefined
      : clock.after(timeoutMs, () =>
          late.abort(new DOMException(`not done in ${timeoutMs} ms`, 'TimeoutError')),
        );
  const startMs = clock.monotonic();
  let outcome: Reconciled['outcome'] = 'failed';
  try {
    const bounded = timeoutMs === undefined ? signal : late.signal;
    const end = (await reconcile(key, bounded)) ?? done;
    outcome = end.kind;
    return end;
  } finally {
    signal.removeEventListener('abort', stop);
    const durationMs = clock.monotonic() - startMs;
    onReconciled?.({ controller: name, key, outcome, durationMs, queueLength: queueLength() });
  }
}
