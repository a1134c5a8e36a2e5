import { afterEach, describe, expect, it, vi } from 'vitest';

import { createFakeClock, systemClock, timeoutSignal, timerMsMax } from './clock.ts';

describe('createFakeClock()', () => {
  it('runs what became due in order of time, then of making', () => {
    const clock = createFakeClock();
    const ran: string[] = [];
    clock.after(20, () => void ran.push('late'));
    clock.after(10, () => void ran.push('first'));
    clock.after(10, () => void ran.push('second'));
    clock.after(5, () => void clock.after(2, () => void ran.push('nested')));
    clock.advance(15);
    expect(ran).toEqual(['nested', 'first', 'second']);
    expect(clock.now()).toBe(15);
  });

  it('never runs what was disposed', () => {
    const clock = createFakeClock();
    clock.after(1, () => expect.unreachable())[Symbol.dispose]();
    clock.advance(10);
  });
});

describe('sleep()', () => {
  it.each([
    { name: 'system', clock: systemClock },
    { name: 'fake', clock: createFakeClock() },
  ])('$name: rejects with the reason of its signal, before and while it waits', async ({ clock }) => {
    const reason = new Error('enough');
    await expect(clock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const abort = new AbortController();
    const sleeping = clock.sleep(60_000, abort.signal);
    abort.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
  });
});

describe('waits beyond the range of a timer', () => {
  afterEach(() => void vi.useRealTimers());

  const dayMs = 86_400_000;

  it.each([
    { name: '2^31 - 1', ms: timerMsMax },
    { name: '2^31', ms: 2 ** 31 },
    { name: '30 days', ms: 30 * dayMs },
    { name: '2^32', ms: 2 ** 32 },
    { name: '100 days and a half', ms: 100.5 * dayMs },
  ])('after(), sleep() and timeoutSignal() wait $name in full', async ({ ms }) => {
    vi.useFakeTimers();
    const fired: string[] = [];
    systemClock.after(ms, () => fired.push('after'));
    void systemClock.sleep(ms).then(() => fired.push('sleep'));
    timeoutSignal(ms).addEventListener('abort', () => fired.push('signal'));
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(fired).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    // AbortSignal.timeout is Node's own, which the false timers do not know.
    expect(fired).toEqual(ms > timerMsMax ? ['after', 'sleep', 'signal'] : ['after', 'sleep']);
  });

  it.each([NaN, Infinity, 2 ** 53, 1e300])(
    'a wait of %d ms is not due at once, and can be given up',
    async (ms) => {
      vi.useFakeTimers();
      const timer = systemClock.after(ms, () => expect.unreachable());
      const stop = new AbortController();
      const sleeping = systemClock.sleep(ms, stop.signal);
      await vi.advanceTimersByTimeAsync(365 * dayMs);
      timer[Symbol.dispose]();
      stop.abort(new Error('enough'));
      await expect(sleeping).rejects.toThrow('enough');
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it('a wait of a negative time is due at once, and before what is due later', async () => {
    const fired: string[] = [];
    systemClock.after(1000, () => fired.push('later'))[Symbol.dispose]();
    await new Promise<void>((resolve) => void systemClock.after(-(2 ** 40), resolve));
    await systemClock.sleep(-5);
    expect(timeoutSignal(0)).toBeInstanceOf(AbortSignal);
    expect(fired).toEqual([]);
  });
});
