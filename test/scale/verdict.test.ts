import { expect, it } from 'vitest';
import type { Cost } from './row.ts';
import { faultsOf, renderVerdict } from './verdict.ts';

const cost = (change: Partial<Cost> = {}): Cost => ({
  ...{ operations: 100, processorMs: 10, allThreadsMs: 20, longestTurnMs: 5, ...change },
});
const sized = (large: Cost | string) => [
  { size: 10, cost: cost() },
  { size: 40, cost: large },
];

it.each([
  ['as it is to be', undefined, cost({ processorMs: 20 }), 'as it is to be'],
  ['a cost that grew', undefined, cost({ processorMs: 21 }), '×2.1 is more than ×2'],
  ['more growth that is allowed', { growth: 4 }, cost({ processorMs: 39 }), 'as it is to be'],
  ['a cost too high', { usPerOperation: 150 }, cost({ processorMs: 18 }), '180 µs with 40, of 150'],
  ['a turn too long', undefined, cost({ longestTurnMs: 20.12 }), 'a turn of 20.1 ms with 40, of 20'],
  ['a size without a cost', undefined, 'ended with 1', '40 was not measured'],
])('%s', (_what, limits, large, want) => {
  expect(renderVerdict(faultsOf(limits, sized(large)))).toBe(`  verdict: ${want}`);
});

it('what else is limited is known, and within its bounds', () => {
  const limits = { also: { rate: { min: 5 }, MiB: { max: 7 } } };
  const of = (also: Record<string, number>): readonly string[] =>
    faultsOf(limits, [{ size: 1, cost: cost({ also }) }]);
  expect(of({ rate: 5, MiB: 7 })).toEqual([]);
  expect(of({ rate: 4, MiB: 8 })).toEqual(['rate 4 with 1, of 5', 'MiB 8 with 1, of 7']);
  expect(of({ MiB: 1 })).toEqual(['rate is not known with 1']);
});
