import { getHeapStatistics } from 'node:v8';
import { expect, it } from 'vitest';
import { sweepIfGrown } from './sweep.ts';

it('sweeps what large bodies left when it has become much, and not before', () => {
  sweepIfGrown();
  expect(sweepIfGrown()).toBe(false);
  const garbage = Array.from({ length: 130 }, () => Buffer.alloc(1_048_576, 'x'));
  expect(garbage).toHaveLength(130);
  garbage.length = 0;
  expect(sweepIfGrown()).toBe(true);
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  expect(used + external).toBeLessThan(150_000_000);
  expect(sweepIfGrown()).toBe(false);
});
