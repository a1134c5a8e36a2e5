import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { queueBuckets, QueueCounts } from './queue-counts.ts';

describe('QueueCounts', () => {
  it('has the buckets of client-go', () => {
    expect(queueBuckets).toHaveLength(12);
    expect(queueBuckets[0]).toBe(1e-8);
    expect(queueBuckets.at(-1)).toBeCloseTo(1000, 6);
  });

  it('counts what is added once however often, what waits, runs, and comes again', async () => {
    const clock = createFakeClock(0);
    const counts = new QueueCounts();
    let release = Promise.withResolvers<void>();
    let fails = 1;
    const queue = new KeyedQueue<string>({
      ...{ clock, concurrencyMax: 1, backoff: { initialMs: 1000, factor: 2, maxMs: 1000 } },
      work: async () => {
        await release.promise;
        if (fails-- > 0) throw new TypeError('no');
      },
      onError: () => undefined,
      watch: counts.open(clock),
    });
    for (const key of ['a', 'a', 'b']) queue.add(key);
    expect(counts.read()).toMatchObject({ adds: 2, depth: 2 });
    await untilTurnsEnd();
    clock.advance(3000);
    expect(counts.read()).toMatchObject({ depth: 1, unfinishedSeconds: 3, longestSeconds: 3 });
    queue.add('a');
    queue.add('a');
    expect(counts.read()).toMatchObject({ adds: 3, depth: 2 });
    release.resolve();
    release = Promise.withResolvers();
    release.resolve();
    await untilTurnsEnd();
    const { retries, depth, waited, worked, unfinishedSeconds } = counts.read();
    expect([retries, depth, unfinishedSeconds]).toEqual([1, 0, 0]);
    expect([waited.count, worked.count, worked.sum]).toEqual([3, 3, 3]);
    queue.add('c');
    await queue[Symbol.asyncDispose]();
    expect(counts.read()).toMatchObject({ depth: 0, unfinishedSeconds: 0 });
  });
});
