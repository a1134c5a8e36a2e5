import { describe, expect, it } from 'vitest';
import { busyMs } from './time-slice.fixture.ts';
import { inSlices, nextTurn, promisesSettled, TimeSlice, TurnTime } from './time-slice.ts';

describe('TurnTime', () => {
  it('is of all kinds of work together: what one took the others have not', async () => {
    await nextTurn();
    const [first, second] = [new TurnTime(), new TurnTime()];
    expect(first.isLeft()).toBe(true);
    busyMs(20);
    expect(first.isLeft()).toBe(false);
    expect(second.isLeft()).toBe(true); // A little for each, so that all go on.
    busyMs(5);
    expect(second.isLeft()).toBe(false);
  });

  it('begins anew in each turn', async () => {
    const time = new TurnTime();
    for (let round = 0; round < 3; round++) {
      await nextTurn();
      await nextTurn();
      expect(time.isLeft()).toBe(true);
      busyMs(20);
      expect(time.isLeft()).toBe(false);
    }
  });
});

describe('TimeSlice', () => {
  it('is over sooner in a turn that others have used up', async () => {
    const begun = async (): Promise<TimeSlice> => {
      await nextTurn();
      await nextTurn();
      new TurnTime().isLeft();
      busyMs(20);
      const begunSlice = new TimeSlice();
      return begunSlice.isOver() ? await begun() : begunSlice; // On a busy machine its half millisecond may be over at once.
    };
    const slice = await begun();
    busyMs(5);
    expect(slice.isOver()).toBe(true);
    await expect.poll(async () => (await slice.next(), slice.isOver())).toBe(false);
  });
});

describe('inSlices()', () => {
  it('lets others run between two steps', async () => {
    let others = 0;
    const count = (): void => {
      others++;
      setImmediate(count).unref();
    };
    setImmediate(count).unref();
    const steps = function* (): Generator<void, string> {
      for (let step = 0; step < 30; step++) {
        busyMs(2);
        yield;
      }
      return 'done';
    };
    expect(await inSlices(steps())).toBe('done');
    expect(others).toBeGreaterThan(3);
  });
});

describe('promisesSettled()', () => {
  it.each<[string, (callback: () => void) => void]>([
    ['a callback of the event loop', (callback) => void setTimeout(callback, 1)],
    ['what goes on after a promise', (callback) => queueMicrotask(callback)],
  ])('comes after all that follows at once, in %s', async (_where, run) => {
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    const order: string[] = [];
    run(() => {
      void promisesSettled().then(() => {
        order.push('settled');
        resolve(order);
      });
      void (async () => {
        for (let hop = 0; hop < 5; hop++) await undefined;
        order.push('done');
      })();
    });
    expect(await promise).toEqual(['done', 'settled']);
  });
});
