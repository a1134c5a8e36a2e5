import { describe, expect, it } from 'vitest';
import { computeLevelSeats, type LevelSpec } from './level-seats.ts';

const spec: LevelSpec = {
  isExempt: false,
  shares: 30,
  lendablePercent: 0,
  borrowingLimitPercent: undefined,
  queuing: { queues: 64, handSize: 6, queueLengthLimit: 50 },
};
const seatsOf = (total: number, specs: Readonly<Record<string, Partial<LevelSpec>>>) =>
  Object.fromEntries(
    computeLevelSeats(
      new Map(Object.entries(specs).map(([name, given]) => [name, { ...spec, ...given }])),
      total,
    ),
  );

describe('computeLevelSeats()', () => {
  it('divides by shares, rounded up, and keeps what is not lent', () => {
    const levels = {
      'workload-low': { shares: 100, lendablePercent: 90 },
      'node-high': { shares: 40, lendablePercent: 25 },
      'catch-all': { shares: 5, queuing: undefined },
      rest: { shares: 100 },
    };
    expect(seatsOf(600, levels)).toMatchObject({
      'workload-low': { nominal: 245, min: 24, max: 845, initial: 135, widest: 10 },
      'node-high': { nominal: 98, min: 73, max: 698, initial: 86, widest: 10 },
      'catch-all': { nominal: 13, min: 13, max: 613, widest: 10 },
    });
  });

  it('borrows no more than a limit says', () => {
    expect(seatsOf(100, { a: { borrowingLimitPercent: 50 }, b: {} })).toMatchObject({
      a: { nominal: 50, max: 75 },
      b: { max: 150 },
    });
  });

  it.each([
    // As in kubernetes, Test_GetMaxSeats.
    { nominal: 5, handSize: 6, widest: 1 },
    { nominal: 10, handSize: 6, widest: 1 },
    { nominal: 15, handSize: 6, widest: 2 },
    { nominal: 100, handSize: 6, widest: 10 },
    { nominal: 800, handSize: 6, widest: 10 },
  ])(
    'lets no request take so much that a hand of $handSize leaves nothing of $nominal',
    ({ nominal, handSize, widest }) => {
      const queuing = { queues: 64, handSize, queueLengthLimit: 50 };
      expect(seatsOf(nominal, { a: { queuing } })['a']).toMatchObject({ nominal, widest });
    },
  );

  it('gives nothing where nobody has shares', () => {
    expect(seatsOf(600, { a: { shares: 0 } })['a']).toMatchObject({ nominal: 0, min: 0, widest: 1 });
  });
});
