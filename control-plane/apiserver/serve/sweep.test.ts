import { getHeapStatistics } from 'node:v8';
import { expect, it } from 'vitest';
import { sweepIfGrown } from './sweep.ts';

function heapBytes(): number {
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  return used + external;
}

it('sweeps what large bodies left when it has become much, and not before', async () => {
  sweepIfGrown();
  expect(sweepIfGrown()).toBe(false);
  const before = heapBytes();
  const garbage = Array.from({ length: 130 }, () => Buffer.alloc(1_048_576, 'x'));
  expect(garbage).toHaveLength(130);
  garbage.length = 0;
  expect(sweepIfGrown()).toBe(true);
  await expect.poll(() => heapBytes() - before).toBeLessThan(50_000_000); // V8 gives buffers back beside.
  expect(sweepIfGrown()).toBe(false);
});
