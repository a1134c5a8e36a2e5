import { describe, expect, it } from 'vitest';

import { createFakeClock } from './clock.ts';
import { KeyedQueue, type KeyOutcome } from './keyed-queue.ts';
import { untilTurnsEnd } from './quiet.fixture.ts';
import { currentTurn } from './time-slice.ts';
import { busyMs } from './time-slice.fixture.ts';

const backoff = { initialMs: 100, factor: 2, maxMs: 1000 };

function setUp(work: (key: string) => Promise<KeyOutcome | void>, concurrencyMax = 2, random?: () => number) {
  const clock = createFakeClock();
  const retries: number[] = [];
  const queue = new KeyedQueue<string>({
    clock,
    concurrencyMax,
    backoff,
    random,
    work,
    onError: (_key, _error, retryMs) => void retries.push(retryMs),
  });
  return { clock, queue, retries };
}

/** Work has begun by then, whatever others did in this turn. */
const begun = untilTurnsEnd;

describe('KeyedQueue', () => {
  it('works once on a key that was added twice while it waited', async () => {
    const worked: string[] = [];
    const { queue } = setUp(async (key) => void worked.push(key));
    queue.add('a');
    queue.add('a');
    await queue.idle();
    expect(worked).toEqual(['a']);
  });

  it('works once more on a key that was added while it was worked on', async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let runs = 0;
    const { queue } = setUp(async () => gates[runs++]?.promise);
    queue.add('a');
    await begun();
    queue.add('a');
    queue.add('a');
    expect(runs).toBe(1);
    gates[0]?.resolve();
    gates[1]?.resolve();
    await queue.idle();
    expect(runs).toBe(2);
  });

  it('spreads retries over the second half of their back-off', async () => {
    const dice = [0, 0.5, 0.99];
    const { clock, queue, retries } = setUp(
      async () => Promise.reject(new Error('no')),
      2,
      () => dice.shift() ?? 0,
    );
    queue.add('a');
    for (let tries = 0; tries < 3; tries++) {
      await queue.idle();
      clock.advance(1000);
    }
    expect(retries.slice(0, 3)).toEqual([50, 150, 398]);
    await queue[Symbol.asyncDispose]();
  });

  it('forgets failures when work asks to be done again, as when it is done', async () => {
    const outcomes = ['fail', 'fail', 'again', 'fail'];
    const { clock, queue, retries } = setUp(async () => {
      if (outcomes.shift() === 'fail') throw new Error('no');
      return { kind: 'again', afterMs: 10 };
    });
    queue.add('a');
    for (let runs = 0; runs < 4; runs++) {
      await queue.idle();
      clock.advance(1000);
    }
    expect(retries.slice(0, 3)).toEqual([100, 200, 100]);
    await queue[Symbol.asyncDispose]();
  });

  it('runs no more keys at once than it may', async () => {
    const gate = Promise.withResolvers<void>();
    let running = 0;
    let most = 0;
    const { queue } = setUp(async () => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
    });
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    await begun();
    gate.resolve();
    await queue.idle();
    expect(most).toBe(2);
  });

  it('works on a key once in a turn of the event loop, however often it is added', async () => {
    const turns: number[] = [];
    const { queue } = setUp(async () => void turns.push(currentTurn()));
    const { promise: told, resolve } = Promise.withResolvers<void>();
    setImmediate(async () => {
      for (let change = 0; change < 100; change++) {
        queue.add('a');
        await Promise.resolve(); // As the changes of one read come, each with its promises.
      }
      resolve();
    });
    await told;
    await queue.idle();
    expect(turns.length).toBe(new Set(turns).size);
    expect(turns.length).toBeLessThan(5);
  });

  it('works on many keys in several turns of the event loop', async () => {
    const { queue } = setUp(async () => busyMs(1), 5);
    let turns = 0;
    const count = (): void => {
      turns++;
      if (queue.size > 0) setImmediate(count);
    };
    for (let key = 0; key < 60; key++) queue.add(`${key}`);
    setImmediate(count);
    await queue.idle();
    expect(turns).toBeGreaterThan(3);
  });

  it('tries a key that failed again with growing waits, from the start again after a success', async () => {
    let failures = 3;
    const { clock, queue, retries } = setUp(async () => {
      if (failures-- > 0) throw new Error('not yet');
    });
    queue.add('a');
    for (const ms of [100, 200, 400]) {
      await queue.idle();
      clock.advance(ms);
    }
    await queue.idle();
    expect(retries).toEqual([100, 200, 400]);
    failures = 1;
    queue.add('a');
    await queue.idle();
    expect(retries.at(-1)).toBe(100);
  });

  it('keeps the earlier of two times at which a key is due', async () => {
    const times: number[] = [];
    const { clock, queue } = setUp(async () => void times.push(clock.now()));
    queue.addAfter('a', 50);
    queue.addAfter('a', 500);
    queue.addAfter('a', 10);
    clock.advance(10);
    await queue.idle();
    clock.advance(1000);
    await queue.idle();
    expect(times).toEqual([10]);
  });

  it('aborts what runs and forgets what waits when it is closed', async () => {
    let reason: unknown;
    const clock = createFakeClock();
    const queue = new KeyedQueue<string>({
      clock,
      concurrencyMax: 1,
      backoff,
      work: (_key, signal) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => {
            reason = signal.reason;
            reject(signal.reason);
          }),
        ),
      onError: () => expect.unreachable('an abort is no failure'),
    });
    queue.add('a');
    queue.add('b');
    await begun();
    await queue[Symbol.asyncDispose]();
    expect(reason).toBeInstanceOf(DOMException);
    expect(queue.size).toBe(0);
  });
});
