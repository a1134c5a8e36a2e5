import { describe, expect, it } from 'vitest';

import { summarise } from './measure.ts';
import { atMost, timesBetter, type Budget, type Measurement, type PeerResult, type Unit } from './row.ts';
import { isKept, renderTable } from './table.ts';

function measured(unit: Unit, ours: readonly number[], budget: Budget, peer?: PeerResult): Measurement {
  const peers = peer === undefined ? [] : [peer];
  return { what: 'launch', unit, ours: summarise(ours), peers, budgets: [budget] };
}

const peer: PeerResult = { name: 'peer', ...summarise([10]) };

describe('isKept()', () => {
  it.each([
    { name: 'a median below', given: measured('ms', [1, 1, 9], atMost(2)), want: true },
    { name: 'a p99 above', given: measured('ms', [1, 1, 9], atMost(2, 'p99')), want: false },
    { name: 'half the time', given: measured('ms', [5], timesBetter(2, 'peer'), peer), want: true },
    { name: 'half the rate', given: measured('/s', [5], timesBetter(2, 'peer'), peer), want: false },
    { name: 'twice the rate', given: measured('/s', [20], timesBetter(2, 'peer'), peer), want: true },
    { name: 'no such peer', given: measured('ms', [5], timesBetter(2, 'peer')), want: undefined },
  ])('says of $name whether the budget is kept', ({ given, want }) => {
    const [budget] = given.budgets;
    expect(budget && isKept(given, budget)).toBe(want);
  });
});

describe('renderTable()', () => {
  it('shows budgets that are missed, peers with their ratio, and why one was skipped', () => {
    const text = renderTable([
      measured('ms', [4], atMost(2), peer),
      measured('/s', [4000], timesBetter(2, 'crun'), { name: 'crun', skipped: 'not installed' }),
    ]);
    expect(text.split('\n').slice(1)).toEqual([
      expect.stringMatching(/^launch +4 ms +4? +! median ≤ 2 ms +peer 10 \(2.5×\)$/),
      expect.stringMatching(/^launch +4,000 \/s +2× crun +crun: not installed$/),
    ]);
  });
});

describe('summarise()', () => {
  it('gives the middle, the ends and the 99th percentile', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(summarise(values)).toEqual({ count: 100, median: 51, min: 1, p99: 100, max: 100 });
  });
});
