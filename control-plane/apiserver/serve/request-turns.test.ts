import { performance } from 'node:perf_hooks';
import { describe, expect, test } from 'vitest';
import { RequestTurns } from './request-turns.ts';
import { nextTurn } from './time-slice.ts';

const ordinary = { isUrgent: false };

/** Takes the time of a turn, as a long list does. */
function work(ms: number): void {
  for (const startMs = performance.now(); performance.now() - startMs < ms;);
}

describe('RequestTurns', () => {
  test('begins at once where there is time', () => {
    const begun: number[] = [];
    const turns = new RequestTurns();
    for (const id of [1, 2, 3]) turns.begin({}, () => void begun.push(id), ordinary);
    expect(begun).toEqual([1, 2, 3]);
  });

  test('takes of many only what a turn has time for, and leaves the rest to the next', async () => {
    const turns = new RequestTurns();
    const connection = {};
    const begun: number[] = [];
    for (let i = 0; i < 20; i++) {
      turns.begin(
        connection,
        () => {
          begun.push(i);
          work(5);
        },
        ordinary,
      );
    }
    expect(begun.length).toBeLessThan(4);
    await nextTurn();
    await nextTurn();
    expect(begun.length).toBeLessThan(12);
    for (let i = 0; begun.length < 20 && i < 100; i++) await nextTurn();
    expect(begun).toHaveLength(20);
  });

  test('a connection with one request waits for no other’s hundred, and a health check for nobody', async () => {
    const turns = new RequestTurns();
    const order: string[] = [];
    const flood = {};
    for (let i = 0; i < 100; i++) {
      turns.begin(
        flood,
        () => {
          order.push(`flood ${i}`);
          work(3);
        },
        ordinary,
      );
    }
    turns.begin({}, () => void order.push('other'), ordinary);
    const before = order.length;
    turns.begin(flood, () => void order.push('livez'), { isUrgent: true });
    expect(order[before]).toBe('livez');
    for (let i = 0; order.length < 102 && i < 1000; i++) await nextTurn();
    expect(order.indexOf('other')).toBeLessThan(before + 4);
    expect(order.filter((name) => name.startsWith('flood'))).toEqual(
      Array.from({ length: 100 }, (_, i) => `flood ${i}`),
    );
  });
});
