import { describe, expect, it } from 'vitest';

import { createFakeClock, systemClock } from './clock.ts';

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
