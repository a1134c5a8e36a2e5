import { describe, expect, it } from 'vitest';
import { randomOf } from './fair-queue.fixture.ts';
import { shareOut, type Want } from './share-out.ts';

describe('shareOut()', () => {
  it.each([
    {
      name: 'the same fraction to all whom no bound holds',
      sum: 30,
      wants: [want(10), want(20)],
      seats: [10, 20],
      fairFraction: 1,
    },
    {
      name: 'no less than their lower bound to those who want little',
      sum: 100,
      wants: [want(10, 10, 200), want(0, 40, 200), want(150, 20, 200)],
      seats: [10, 40, 50].map((seats) => seats),
      fairFraction: undefined,
    },
    {
      name: 'no more than their upper bound to those who want much',
      sum: 100,
      wants: [want(1000, 0, 30), want(100, 0, 500)],
      seats: [30, 70],
      fairFraction: 0.7,
    },
    { name: 'to nobody more than there is', sum: 0, wants: [want(5)], seats: [0], fairFraction: 0 },
  ])('gives $name', ({ sum, wants, seats, fairFraction }) => {
    const shared = shareOut(sum, wants);
    expect(shared?.seats.map((each) => Math.round(each))).toEqual(seats);
    if (fairFraction !== undefined) expect(shared?.fairFraction).toBeCloseTo(fairFraction, 5);
  });

  it('says when the bounds leave no way', () => {
    expect(shareOut(10, [want(20, 11, 30)])).toBeUndefined();
    expect(shareOut(10, [want(5, 0, 9)])).toBeUndefined();
    expect(shareOut(1, [])).toBeUndefined();
  });

  it('keeps sum, bounds and fraction, whatever is wanted', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = randomOf(seed);
    for (let round = 0; round < 500; round++) {
      const wants = Array.from({ length: 1 + Math.floor(random() * 9) }, () => {
        const lower = random() < 0.3 ? 0 : random() * 50;
        return want(lower + random() * 100, lower, lower + random() * 200);
      });
      const [low, high] = [total(wants.map(({ lower }) => lower)), total(wants.map(({ upper }) => upper))];
      const sum = low + random() * (high - low);
      const shared = shareOut(sum, wants);
      const why = JSON.stringify({ seed, sum, wants, shared });
      expect(total(shared?.seats ?? []), why).toBeCloseTo(sum, 3);
      for (const [index, { target, lower, upper }] of wants.entries()) {
        const has = shared?.seats[index] ?? -1;
        const fair = (shared?.fairFraction ?? 0) * Math.max(target, 0.001);
        expect(has, why).toBeCloseTo(Math.max(lower, Math.min(upper, fair)), 3);
      }
    }
  });
});

function want(target: number, lower = 0, upper = 1_000): Want {
  return { target, lower, upper };
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}
