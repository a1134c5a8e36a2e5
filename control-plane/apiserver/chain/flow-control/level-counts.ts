import { BucketCounts, TimeCounts } from '#base/counts/bucket-counts.ts';
import type { RefusedFor } from './queue/ticket.ts';

const secondsBounds: readonly number[] = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30];

/** What is counted of the requests of one FlowSchema in one level. */
export class SchemaCounts {
  dispatched = 0;
  readonly refused: Record<RefusedFor, number> = {
    'concurrency-limit': 0,
    'queue-full': 0,
    'time-out': 0,
    cancelled: 0,
  };
  readonly queueLengths: BucketCounts = new BucketCounts([0, 10, 25, 50, 100, 250, 500, 1000]);
  /** Seconds of those that were seated, and of those that were not. */
  readonly waits: Readonly<Record<'true' | 'false', BucketCounts>> = {
    true: new BucketCounts(secondsBounds),
    false: new BucketCounts(secondsBounds),
  };
  readonly executions: Readonly<Record<'regular' | 'watch', BucketCounts>> = {
    regular: new BucketCounts(secondsBounds),
    watch: new BucketCounts(secondsBounds),
  };
  readonly watchers: BucketCounts = new BucketCounts([0, 1, 10, 100, 1000, 10000]);
  readonly seats: BucketCounts = new BucketCounts([1, 2, 4, 10]);
}

/** What a level's seats and queues are used for, over time, as fractions of what there is. */
export class LevelUse {
  readonly seats: TimeCounts;
  readonly seated: TimeCounts;
  readonly waiting: TimeCounts;
  readonly demand: TimeCounts;

  constructor(nowMs: number) {
    const requestBounds = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1];
    this.seats = new TimeCounts([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1], nowMs);
    this.seated = new TimeCounts(requestBounds, nowMs);
    this.waiting = new TimeCounts(requestBounds, nowMs);
    this.demand = new TimeCounts([0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.7, 2, 2.8, 4, 6], nowMs);
  }
}
