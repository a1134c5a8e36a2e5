import { expect, it } from 'vitest';
import { slowStart } from './slow-start.ts';

// TestSlowStartBatch of Kubernetes, and what becomes of many.
it.each([
  { name: 'none', count: 0, succeeds: 0, calls: 0, done: 0 },
  { name: 'the first is refused', count: 10, succeeds: 0, calls: 1, done: 0 },
  { name: 'all are done', count: 10, succeeds: 10, calls: 10, done: 10 },
  {
    name: 'half of them are done: the batch is ended, and no more is asked',
    count: 10,
    succeeds: 5,
    calls: 7,
    done: 5,
  },
  { name: 'of many no more than a batch is under way', count: 500, succeeds: 130, calls: 191, done: 130 },
])('slowStart() $name', async ({ count, succeeds, calls: wantCalls, done: wantDone }) => {
  let calls = 0;
  const { done, error } = await slowStart(count, () => {
    calls += 1;
    return calls > succeeds ? Promise.reject(new RangeError('refused')) : Promise.resolve();
  });
  expect({ calls, done }).toEqual({ calls: wantCalls, done: wantDone });
  expect(error === undefined).toBe(wantDone === count);
});
