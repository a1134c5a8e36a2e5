import { performance } from 'node:perf_hooks';
import { describe, expect, test } from 'vitest';
import { RequestTurns } from './request-turns.ts';
import { nextTurn } from '#base/time-slice.ts';

const ordinary = { isUrgent: false };

/** Takes the time of a turn, as a long list does. */
function work(ms: number): void {
  for (const startMs = performance.now(); performance.now() - startMs < ms;);
}

describe('RequestTurns', () => {
  test('begins at once where there is time', async () => {
    const begun: number[] = [];
    const turns = new RequestTurns();
    for (const id of [1, 2, 3]) {
      turns.begin({}, () => void begun.push(id), ordinary);
      expect(begun).toHaveLength(id);
      for (let half = 0; half < 2; half++) await nextTurn(); // The first may be of the same turn, with its time used up.
    }
  });

  test('counts as the time of a request what it does after waiting for what is there', async () => {
    const turns = new RequestTurns();
    const connection = {};
    const done: number[] = [];
    const start = async (i: number): Promise<void> => {
      for (let hop = 0; hop < 5; hop++) await undefined;
      work(3);
      done.push(i);
    };
    for (let i = 0; i < 50; i++) turns.begin(connection, () => void start(i), ordinary);
    await nextTurn();
    expect(done.length).toBeLessThan(10);
    for (let i = 0; done.length < 50 && i < 1000; i++) await nextTurn();
    expect(done).toEqual(Array.from({ length: 50 }, (_, i) => i));
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
