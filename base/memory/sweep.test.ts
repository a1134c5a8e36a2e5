import { getHeapStatistics } from 'node:v8';
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { nextTurn } from '#base/time-slice.ts';
import { noteLetGo, sweepIfGrown, sweepInSteps } from './sweep.ts';

const never = new AbortController().signal;

function heapBytes(): number {
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  return used + external;
}

/** Leaves so many MiB behind; one of them. */
function waste(mib: number): WeakRef<object> {
  const garbage = Array.from({ length: mib }, () => Buffer.alloc(1_048_576, 'x'));
  expect(garbage).toHaveLength(mib);
  return new WeakRef(garbage);
}

it('sweeps what large bodies left when it has become much, and not before', async () => {
  sweepIfGrown();
  expect(sweepIfGrown()).toBe(false);
  const before = heapBytes();
  waste(130);
  expect(sweepIfGrown()).toBe(true);
  await expect.poll(() => heapBytes() - before).toBeLessThan(50_000_000); // V8 gives buffers back beside.
  expect(sweepIfGrown()).toBe(false);
});

it('sweeps in steps what a quiet program has left', async () => {
  sweepIfGrown(0);
  const left = waste(60);
  await nextTurn(); // Until then it is held by who asked for it.
  expect(await sweepInSteps({ clock: systemClock, signal: never })).toBe(true);
  expect(left.deref() === undefined).toBe(true);
});

it('sweeps nothing where nobody waits any more', async () => {
  waste(60);
  expect(await sweepInSteps({ clock: systemClock, signal: AbortSignal.abort() }, 0)).toBe(false);
});

it('sweeps what was let go of though nothing was made', () => {
  const kept = Array.from({ length: 80 }, () => Buffer.alloc(1_048_576, 'x'));
  sweepIfGrown(0);
  expect(sweepIfGrown()).toBe(false);
  kept.length = 0;
  expect(sweepIfGrown()).toBe(false);
  noteLetGo(80 * 1_048_576);
  expect(sweepIfGrown()).toBe(true);
});
