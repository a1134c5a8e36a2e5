import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How much the heap may grow over what the last sweep left, before what large bodies left behind is swept; and before a quiet server is. */
const grownBytesMax = 67_108_864;
export const grownQuietBytesMax = 25_165_824;

let collect: (() => void) | undefined;
let leftBytes = 0;

/**
 * Sweeps V8's heap where it has grown: V8 lets it grow to several times of what lives while objects are made faster than it sweeps,
 * which a few clients with bodies of a hundred thousand values do. Called after each of these: some tens of milliseconds, now and
 * then. Whether it did.
 */
export function sweepIfGrown(bytesMax: number = grownBytesMax): boolean {
  if (heapBytes() - leftBytes < bytesMax) {
    leftBytes = Math.min(leftBytes, heapBytes());
    return false;
  }
  collect ??= exposeCollector();
  collect();
  leftBytes = heapBytes();
  return true;
}

/** Objects, and the buffers that they hold. */
function heapBytes(): number {
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  return used + external;
}

/** V8's own, which Node shows only to who asks as it starts. */
function exposeCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
