import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import type { Clock } from '#base/clock.ts';

/** How much the heap may grow over what the last sweep left, before what large bodies left behind is swept; and before a quiet server is. */
const grownBytesMax = 67_108_864;
export const grownQuietBytesMax = 25_165_824;
/** More than V8 lets buffers outside its heap grow by before it begins to mark, in steps (kExternalAllocationSoftLimit, 64 MiB). */
const promptBytes = 67_108_865;
/** How long V8 may take for its steps; then it is swept at once. */
const stepsMsMax = 10_000;

let collect: (() => void) | undefined;
let leftBytes = 0;
/** What was wanted no more since the last sweep began. */
let letGoBytes = 0;

/**
 * Sweeps V8's heap at once where it has grown: V8 lets it grow to several times of what lives while objects are made faster than it
 * sweeps, which a few clients with bodies of a hundred thousand values do. Called after each of these: some tens of milliseconds, now and
 * then. Whether it did.
 */
export function sweepIfGrown(bytesMax: number = grownBytesMax): boolean {
  if (!isGrown(bytesMax)) return false;
  sweep();
  leftBytes = heapBytes();
  return true;
}

/**
 * The same in steps, between which others run, with most of the work in V8's own threads. Whether it did; no where it was aborted.
 * V8 has no call for that. It begins by itself where much is allocated outside its heap: so that is done, of memory that nobody touches.
 */
export async function sweepInSteps(
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  bytesMax: number = grownQuietBytesMax,
): Promise<boolean> {
  if (signal.aborted || !isGrown(bytesMax)) return false;
  letGoBytes = 0; // What is let go of from here on may have been marked.
  // The first may have begun before, and keeps what was made since.
  for (let round = 1; round <= 2 && !signal.aborted; round++) {
    if ((await nextSweep(clock, signal)) === 'late') sweep();
  }
  leftBytes = heapBytes();
  return !signal.aborted;
}

/** Has V8 begin, where it has not, and waits for its end. */
async function nextSweep(clock: Clock, signal: AbortSignal): Promise<'swept' | 'late' | 'aborted'> {
  const { promise, resolve } = Promise.withResolvers<'swept' | 'late' | 'aborted'>();
  const startedAt = performance.now();
  const observer = new PerformanceObserver((list) => {
    // Of a sweep before it may be told now.
    const sweeps = list.getEntries().filter(({ startTime }) => startTime >= startedAt);
    if (sweeps.some(isMajor)) resolve('swept');
  });
  observer.observe({ entryTypes: ['gc'] });
  using _late = clock.after(stepsMsMax, () => resolve('late'));
  const onAbort = (): void => resolve('aborted');
  signal.addEventListener('abort', onAbort, { once: true });
  new ArrayBuffer(promptBytes).transfer(0); // Given back in this very turn.
  const outcome = await promise;
  observer.disconnect();
  signal.removeEventListener('abort', onAbort);
  return outcome;
}

/**
 * So much of what the last sweep left is wanted no more. Who lets go of much while it makes nothing says so: the heap does not grow
 * then, and nothing would have it swept.
 */
export function noteLetGo(bytes: number): void {
  letGoBytes += bytes;
}

function isGrown(bytesMax: number): boolean {
  if (heapBytes() - leftBytes + letGoBytes >= bytesMax) return true;
  leftBytes = Math.min(leftBytes, heapBytes());
  return false;
}

function isMajor(entry: PerformanceEntry): boolean {
  const { detail } = entry as PerformanceEntry & { readonly detail: { readonly kind: number } };
  return detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}

/** Objects, and the buffers that they hold. */
function heapBytes(): number {
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  return used + external;
}

function sweep(): void {
  collect ??= exposeCollector();
  letGoBytes = 0;
  collect();
}

/** V8's own, which Node shows only to who asks as it starts. */
function exposeCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
