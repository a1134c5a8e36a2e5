import { describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { apiError } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { createReviews, type Reviews } from './reviews.ts';

interface Asked {
  readonly reviews: Reviews;
  readonly clock: FakeClock;
  count: number;
}

/** Reviews of an API server that answers the nth question, from 1 on, by `answer`. */
function reviewsWith(answer: (nth: number) => object): Asked {
  const clock = createFakeClock(0);
  const asked = { count: 0 };
  const create: ApiClient['create'] = async (_kind, object) => {
    asked.count += 1;
    return { ...object, status: answer(asked.count) };
  };
  const reviews = createReviews({ client: { create }, nodeName: 'n', clock });
  return Object.assign(asked, { reviews, clock });
}

async function settled<T>(clock: FakeClock, promise: Promise<T>): Promise<T | Error> {
  const state: { result?: T | Error } = {};
  promise.then(
    (value) => (state.result = value),
    (error: Error) => (state.result = error),
  );
  for (let step = 0; step < 100 && state.result === undefined; step += 1) {
    await new Promise(setImmediate);
    clock.advance(100);
  }
  if (state.result === undefined) throw new Error('nothing came of it in 10 s');
  return state.result;
}

const bob = { name: 'bob', groups: ['g'] };
const down = (): never => {
  throw new PodwrightError('E_CONNECTION', 'nobody answers');
};

describe('createReviews()', () => {
  it('asks five times of a server that does not answer, and remembers nothing of that', async () => {
    let isDown = true;
    const asked = reviewsWith(() => (isDown ? down() : { allowed: true }));
    const { reviews, clock } = asked;
    expect(await settled(clock, reviews.isAllowed(bob, 'get', 'metrics'))).toBeInstanceOf(Error);
    expect(asked.count).toBe(5);
    isDown = false;
    expect(await settled(clock, reviews.isAllowed(bob, 'get', 'metrics'))).toBe(true);
  });

  it('goes on when the server is back', async () => {
    const asked = reviewsWith((nth) => (nth < 3 ? down() : { authenticated: true, user: { username: 'b' } }));
    expect(await settled(asked.clock, asked.reviews.callerOf('t'))).toMatchObject({ name: 'b' });
    expect(asked.count).toBe(3);
  });

  it('does not ask again who is refused to ask', async () => {
    const asked = reviewsWith(() => {
      throw apiError('create', { code: 403, message: 'no' });
    });
    expect(await settled(asked.clock, asked.reviews.callerOf('t'))).toBeInstanceOf(Error);
    expect(asked.count).toBe(1);
  });

  it.each([
    [{ authenticated: false }, 1],
    [{ authenticated: false, error: 'not yet' }, 2],
    [{ authenticated: true, user: { username: 'b' } }, 1],
  ])('of a token that came to %j asks %d times in two', async (status, count) => {
    const asked = reviewsWith(() => status);
    for (const _ of [1, 2]) await asked.reviews.callerOf('t');
    expect(asked.count).toBe(count);
  });

  it('keeps 4,096 tokens and 8,192 decisions, those that were used last', async () => {
    const asked = reviewsWith(() => ({ authenticated: true, allowed: true, user: { username: 'b' } }));
    const { reviews } = asked;
    for (let nth = 0; nth < 5000; nth += 1) await reviews.callerOf(`t${nth}`);
    for (let nth = 0; nth < 9000; nth += 1)
      await reviews.isAllowed({ name: `u${nth}`, groups: [] }, 'get', 'x');
    expect(asked.count).toBe(14_000);
    await reviews.callerOf('t4999');
    await reviews.isAllowed({ name: 'u8999', groups: [] }, 'get', 'x');
    expect(asked.count).toBe(14_000);
    await reviews.callerOf('t0');
    await reviews.isAllowed({ name: 'u0', groups: [] }, 'get', 'x');
    expect(asked.count).toBe(14_002);
  });

  it('asks 64 questions at once, and the others in their turn', async () => {
    let running = 0;
    let most = 0;
    const create: ApiClient['create'] = async (_kind, object) => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running -= 1;
      return { ...object, status: { authenticated: true, user: { username: 'b' } } };
    };
    const reviews = createReviews({ client: { create }, nodeName: 'n', clock: createFakeClock(0) });
    const all = Array.from({ length: 1000 }, (_, nth) => reviews.callerOf(`t${nth}`));
    expect(new Set((await Promise.all(all)).map((caller) => caller?.name))).toEqual(new Set(['b']));
    expect(most).toBe(64);
    expect(running).toBe(0);
  });

  it('asks anew what is too long to be kept', async () => {
    const asked = reviewsWith(() => ({ allowed: true }));
    const long = { name: 'u', groups: ['g'.repeat(10_000)] };
    for (const _ of [1, 2]) await asked.reviews.isAllowed(long, 'get', 'x');
    expect(asked.count).toBe(2);
  });

  it('tells callers apart by everything that is said of them', async () => {
    const asked = reviewsWith(() => ({ allowed: true }));
    const callers = [bob, { ...bob, uid: 'u' }, { ...bob, groups: [] }, { ...bob, extra: { a: ['b'] } }];
    for (const caller of callers) await asked.reviews.isAllowed(caller, 'get', 'x');
    await asked.reviews.isAllowed(bob, 'create', 'x');
    await asked.reviews.isAllowed(bob, 'get', 'y');
    expect(asked.count).toBe(6);
  });
});
