import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { createLargeStarts } from './large-starts.ts';

const small = { command: ['sh'], args: [], env: [{ name: 'A', value: '1' }] };
const large = { ...small, env: [{ name: 'A', value: 'x'.repeat(300_000) }] };
const never = new AbortController().signal;

/** Whether it is settled once everything that can go on has. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => void (settled = true);
  promise.then(note, note);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return settled;
}

describe('createLargeStarts()', () => {
  it('lets one large start after another, and small ones at any time', async () => {
    const starts = createLargeStarts(createFakeClock());
    const first = await starts.enter(large, never);
    const second = starts.enter(large, never);
    const third = starts.enter({ ...small, args: ['x'.repeat(300_000)] }, never);
    expect(await isSettled(starts.enter(small, never))).toBe(true);
    expect([await isSettled(second), await isSettled(third)]).toEqual([false, false]);
    first[Symbol.dispose]();
    expect([await isSettled(second), await isSettled(third)]).toEqual([true, false]);
    (await second)[Symbol.dispose]();
    (await second)[Symbol.dispose]();
    expect(await isSettled(third)).toBe(true);
  });

  it('is not held up by one that hangs, nor by one whose pod has gone', async () => {
    const clock = createFakeClock();
    const starts = createLargeStarts(clock);
    await starts.enter(large, never);
    const aborted = starts.enter(large, AbortSignal.abort(new Error('gone')));
    const third = starts.enter(large, never);
    expect(await isSettled(third)).toBe(false);
    clock.advance(10_000);
    await expect(aborted).rejects.toThrow('gone');
    expect(await isSettled(third)).toBe(true);
  });
});
