import { expect, it } from 'vitest';
import { Heap } from './heap.ts';

it('Heap gives what is in it in order, at a cost of the logarithm of its size', () => {
  let comparisons = 0;
  const heap = new Heap<number>((a, b) => {
    comparisons += 1;
    return a < b;
  });
  const count = 50_000;
  const items = Array.from({ length: count }, (_, index) => (index * 7919) % count);
  for (const item of items) heap.push(item);
  const taken = items.map(() => heap.pop());
  expect(taken).toEqual(items.toSorted((a, b) => a - b));
  expect(heap.pop()).toBeUndefined();
  expect(comparisons / count).toBeLessThan(3 * Math.log2(count));
});
