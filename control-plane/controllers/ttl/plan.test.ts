import { expect, it } from 'vitest';
import { nextStep, saysTtl, ttlSecondsOf } from './plan.ts';

it.each([
  { from: 0, nodes: 1, want: 0 },
  { from: 0, nodes: 100, want: 0 },
  { from: 0, nodes: 101, want: 15 },
  { from: 1, nodes: 100, want: 15 },
  { from: 1, nodes: 90, want: 15 },
  { from: 1, nodes: 89, want: 0 },
  { from: 1, nodes: 501, want: 30 },
  { from: 2, nodes: 449, want: 15 },
  { from: 3, nodes: 900, want: 60 },
  { from: 3, nodes: 2_001, want: 300 },
  { from: 4, nodes: 1_800, want: 300 },
  { from: 0, nodes: 5_000, want: 300 },
  { from: 4, nodes: 0, want: 0 },
])('nodes of a cluster of $nodes, that was in step $from, hold what they read for $want s', (row) => {
  expect(ttlSecondsOf(nextStep(row.from, row.nodes))).toBe(row.want);
});

it.each([
  [undefined, 0, false],
  ['0', 0, true],
  ['15', 0, false],
  ['x', 0, false],
  ['', 0, false],
] as const)('saysTtl() of %s and %d is %s', (annotation, seconds, want) => {
  expect(saysTtl(annotation, seconds)).toBe(want);
});
