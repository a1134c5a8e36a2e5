import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { SlowBodies, type IncomingBody } from './slow-bodies.ts';

/** A body of which nothing comes, with the time-out that was asked of it. */
function stuckBody(): IncomingBody & { timeout: { ms: number; run: (() => void) | undefined } } {
  const timeout: { ms: number; run: (() => void) | undefined } = { ms: 0, run: undefined };
  const setTimeout = (ms: number, run?: () => void): void => void Object.assign(timeout, { ms, run });
  return Object.assign(new Readable({ read: () => undefined }), { setTimeout, timeout }) as never;
}

test('SlowBodies cuts off a client that stops in the middle, and asks nothing of those that were quick', () => {
  const clock = createFakeClock();
  const slow = new SlowBodies(clock, 30_000);
  const [quick, stuck, late] = [stuckBody(), stuckBody(), stuckBody()];
  const ofQuick = slow.add(quick);
  const ofStuck = slow.add(stuck);
  const ofLate = slow.add(late);
  slow.remove(ofQuick);
  clock.advance(1000);
  expect([quick, stuck, late].map(({ timeout }) => timeout.ms)).toEqual([0, 30_000, 30_000]);
  slow.remove(ofLate);
  expect(late.timeout.ms).toBe(0);
  stuck.timeout.run?.();
  expect(stuck.destroyed).toBe(true);
  slow.remove(ofStuck);
  expect(slow.size).toBe(0);
});
