import { expect, test } from 'vitest';
import { LevelCredit } from './level-credit.ts';

test('a level that takes a tenth of the thread has always something left, one that takes half of it has not', () => {
  const credit = new LevelCredit();
  const left: Record<string, number> = { little: 0, much: 0 };
  for (let ms = 0; ms < 1000; ms += 10) {
    for (const [level, takes] of [
      ['little', 1],
      ['much', 5],
    ] as const) {
      if (credit.isLeft(level, ms)) left[level] = (left[level] ?? 0) + 1;
      credit.pay(level, takes, ms);
    }
  }
  expect(left['little']).toBe(100);
  expect(left['much']).toBeLessThan(10);
});

test('nobody saves more than some milliseconds, and what is not known yet has nothing', () => {
  const credit = new LevelCredit();
  expect(credit.isLeft('', 0)).toBe(false);
  expect(credit.isLeft('node-high', 0)).toBe(true);
  credit.pay('node-high', 10, 1_000_000);
  expect(credit.isLeft('node-high', 1_000_000)).toBe(false);
  expect(credit.isLeft('node-high', 1_000_001)).toBe(true);
});

test('of several, who has most comes first, or who owes least', () => {
  const credit = new LevelCredit();
  credit.pay('much', 8, 0);
  credit.pay('little', 2, 0);
  expect(credit.mostOf(['', 'much', 'little'], 0)).toBe('little');
  credit.pay('little', 9, 0);
  expect(credit.mostOf(['', 'much', 'little'], 0)).toBe('much');
  credit.pay('', 5, 0);
  expect(credit.mostOf(['', 'little'], 0)).toBe('little');
  credit.pay('little', 5, 0);
  expect(credit.mostOf(['', 'little'], 0)).toBe('');
});

test('a long time of much work is forgotten soon, and those who did alike take turns', () => {
  const credit = new LevelCredit();
  credit.pay('much', 10_000, 0);
  credit.pay('more', 20_000, 0);
  expect(credit.mostOf(['much', 'more'], 0)).toBe('much');
  expect(credit.mostOf(['more', 'much'], 0)).toBe('more');
  expect(credit.isLeft('more', 200)).toBe(true);
});
