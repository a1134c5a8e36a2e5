import { BucketCounts } from './bucket-counts.ts';
import type { Clock } from '#base/clock.ts';

/** 10 ns, ten times as much, … 1000 s: of client-go's workqueue (component-base/metrics/prometheus/workqueue). Seconds. */
export const queueBuckets: readonly number[] = Array.from({ length: 12 }).reduce<readonly number[]>(
  (bounds) => [...bounds, bounds.length === 0 ? 10e-9 : (bounds.at(-1) ?? 0) * 10],
  [],
);

/** What queues of one name did since the process began, and what is in them now. Seconds. */
export interface QueueNumbers {
  readonly adds: number;
  readonly retries: number;
  readonly depth: number;
  readonly unfinishedSeconds: number;
  readonly longestSeconds: number;
  readonly waited: ReturnType<BucketCounts['read']>;
  readonly worked: ReturnType<BucketCounts['read']>;
}

/** A queue tells it of its keys. */
export interface QueueWatch {
  /** It waits now, and did not before. */
  added(key: string): void;
  begun(key: string): void;
  ended(key: string): void;
  /** It comes again by itself, after a failure or because its work said so. */
  retried(): void;
  /** The queue ended: what waited is gone. */
  closed(): void;
}

/** Counts the queues of one name, whichever follow one another. */
export class QueueCounts {
  readonly #waited = new BucketCounts(queueBuckets);
  readonly #worked = new BucketCounts(queueBuckets);
  readonly #open = new Set<OpenQueue>();
  #adds = 0;
  #retries = 0;

  open(clock: Pick<Clock, 'monotonic'>): QueueWatch {
    const queue: OpenQueue = { clock, waiting: new Map(), running: new Map() };
    this.#open.add(queue);
    const end = (from: Map<string, number>, key: string, into: BucketCounts): void => {
      const sinceMs = from.get(key);
      from.delete(key);
      if (sinceMs !== undefined) into.add((clock.monotonic() - sinceMs) / 1000);
    };
    return {
      added: (key) => {
        this.#adds += 1;
        queue.waiting.set(key, clock.monotonic());
      },
      begun: (key) => {
        end(queue.waiting, key, this.#waited);
        queue.running.set(key, clock.monotonic());
      },
      ended: (key) => end(queue.running, key, this.#worked),
      retried: () => void (this.#retries += 1),
      closed: () => void this.#open.delete(queue),
    };
  }

  read(): QueueNumbers {
    const open = [...this.#open];
    const running = open.flatMap(({ clock, running: all }) => {
      const nowMs = clock.monotonic();
      return [...all.values()].map((sinceMs) => (nowMs - sinceMs) / 1000);
    });
    return {
      ...{ adds: this.#adds, retries: this.#retries },
      depth: open.reduce((sum, { waiting }) => sum + waiting.size, 0),
      unfinishedSeconds: running.reduce((sum, seconds) => sum + seconds, 0),
      longestSeconds: running.reduce((most, seconds) => Math.max(most, seconds), 0),
      ...{ waited: this.#waited.read(), worked: this.#worked.read() },
    };
  }
}

interface OpenQueue {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Since when, by key. */
  readonly waiting: Map<string, number>;
  readonly running: Map<string, number>;
}
