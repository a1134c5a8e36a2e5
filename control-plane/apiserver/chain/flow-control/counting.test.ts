import { describe, expect, it } from 'vitest';
import { BucketCounts, TimeCounts } from '#base/counts/bucket-counts.ts';
import { RetryAfter, retrySecondsMax } from './retry-after.ts';
import { WatchCounts } from './watch-counts.ts';

describe('BucketCounts', () => {
  it('counts up to each bound, and what is beyond them in the number of all', () => {
    const counts = new BucketCounts([0, 1, 10]);
    for (const value of [0, 0.5, 1, 2, 50]) counts.add(value);
    expect(counts.read()).toEqual({
      upTo: [
        [0, 1],
        [1, 3],
        [10, 4],
      ],
      sum: 53.5,
      count: 5,
    });
  });
});

describe('TimeCounts', () => {
  it('counts nanoseconds that a number was so large', () => {
    const counts = new TimeCounts([0, 0.5, 1], 100);
    counts.set(0.5, 103);
    counts.set(2, 104);
    expect(counts.read(106)).toEqual({
      upTo: [
        [0, 3e6],
        [0.5, 4e6],
        [1, 4e6],
      ],
      sum: 0.5e6 + 4e6,
      count: 6e6,
    });
  });
});

describe('RetryAfter', () => {
  it('doubles while many are refused, up to its bound, and goes back one by one', () => {
    const retry = new RetryAfter();
    let second = 0;
    for (; second < 200; second++) for (let i = 0; i < 10; i++) retry.note(second);
    expect(retry.seconds).toBe(retrySecondsMax);
    for (second += 100; retry.seconds > 1; second += 40) retry.note(second);
    expect(retry.seconds).toBe(1);
  });
});

describe('WatchCounts', () => {
  it('counts those of all namespaces and of the one', () => {
    const watches = new WatchCounts();
    const pods = { group: '', resource: 'pods' };
    using _all = watches.add({ ...pods, namespace: '' });

    {
      using _own = watches.add({ ...pods, namespace: 'n' });

      expect(watches.of({ ...pods, namespace: 'n' })).toBe(2);
    }
    expect(watches.of({ ...pods, namespace: 'n' })).toBe(1);
    expect(watches.of({ group: 'apps', resource: 'pods', namespace: 'n' })).toBe(0);
  });
});
