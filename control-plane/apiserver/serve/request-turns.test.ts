import { performance } from 'node:perf_hooks';
import { describe, expect, test } from 'vitest';
import type { ConnectionShare } from './connection-share.ts';
import { RequestTurns, type Beginner } from './request-turns.ts';
import { nextTurn } from '#base/time-slice.ts';

const nobody: ConnectionShare = { level: '', user: '' };

function of(connection: object, share = nobody): Beginner {
  return { connection, share, isUrgent: false };
}

/** Takes the time of a turn, as a long list does. */
function work(ms: number): void {
  for (const startMs = performance.now(); performance.now() - startMs < ms;);
}

describe('RequestTurns', () => {
  test('begins at once where there is time', async () => {
    const begun: number[] = [];
    const turns = new RequestTurns();
    for (const id of [1, 2, 3]) {
      turns.begin(of({}), () => void begun.push(id));
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
    for (let i = 0; i < 50; i++) turns.begin(of(connection), () => void start(i));
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
      turns.begin(of(connection), () => {
        begun.push(i);
        work(5);
      });
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
      turns.begin(of(flood), () => {
        order.push(`flood ${i}`);
        work(3);
      });
    }
    turns.begin(of({}), () => void order.push('other'));
    const before = order.length;
    turns.begin({ ...of(flood), isUrgent: true }, () => void order.push('livez'));
    expect(order[before]).toBe('livez');
    for (let i = 0; order.length < 102 && i < 1000; i++) await nextTurn();
    expect(order.indexOf('other')).toBeLessThan(before + 4);
    expect(order.filter((name) => name.startsWith('flood'))).toEqual(
      Array.from({ length: 100 }, (_, i) => `flood ${i}`),
    );
  });

  test('levels take turns, in them users, whose connections are many or few', async () => {
    const turns = new RequestTurns();
    const order: string[] = [];
    const begin = (share: ConnectionShare): void =>
      turns.begin(of({}, share), () => {
        order.push(share.user);
        work(3);
      });
    for (let i = 0; i < 100; i++) begin({ level: 'low', user: 'many' });
    for (let i = 0; i < 20; i++) begin({ level: 'low', user: `account ${i}` });
    begin({ level: 'low', user: 'few' });
    const before = order.length;
    begin({ level: 'node-high', user: 'node' });
    for (let i = 0; order.length < 122 && i < 1000; i++) await nextTurn();
    expect(order.indexOf('node')).toBeLessThan(before + 4);
    expect(order.indexOf('few')).toBeLessThan(before + 26);
    expect(order.slice(before, before + 26).filter((user) => user === 'many').length).toBeLessThan(6);
  });

  test('a level that takes little waits for no time of the turn, until it takes much', async () => {
    const turns = new RequestTurns();
    const order: string[] = [];
    const begin = (share: ConnectionShare, ms: number): void =>
      turns.begin(of({}, share), () => {
        order.push(share.user);
        work(ms);
      });
    for (let i = 0; i < 100; i++) begin({ level: 'low', user: 'many' }, 3);
    for (let i = 0; i < 20; i++) begin({ level: 'node-high', user: `node ${i}` }, 0.1);
    for (let i = 0; !order.includes('node 19') && i < 100; i++) await nextTurn();
    expect(order.indexOf('node 19')).toBeLessThan(30);
    const before = order.length;
    for (let i = 0; i < 20; i++) begin({ level: 'node-high', user: 'busy' }, 8);
    for (let i = 0; order.length < before + 20 && i < 100; i++) await nextTurn();
    expect(order.slice(before, before + 20).filter((user) => user === 'many').length).toBeGreaterThan(5);
  });
});
