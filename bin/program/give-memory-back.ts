import { flushCompileCache } from 'node:module';

import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { describeError } from '#base/errors.ts';
import { sweepInSteps } from '#base/memory/sweep.ts';

const lookEveryMs = 15_000;
/** Until it was swept for the first time: what a start leaves is a fifth of what the program has then. */
const firstLookMs = 1_000;
/** What the C library holds is worth a look from so many bytes on, and again when it has grown by so many. */
const heldBytesMin = 201_326_592;
const grownBytesMin = 33_554_432;
/** V8's heap is quiet when it has changed by less than this since the last look. */
const quietBytesMax = 8_388_608;

export interface MemoryPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Only what the start left: of a program that nothing is to stop for later. */
  readonly isForStart?: boolean;
  readonly usage?: () => NodeJS.MemoryUsage;
  readonly trim?: () => Promise<unknown>;
  /** Sweeps V8's heap where it has grown since it was swept last; whether it did. */
  readonly sweep?: (options: { readonly clock: Clock; readonly signal: AbortSignal }) => Promise<boolean>;
  /** Lets go of what Node keeps of its compile cache until the program ends. */
  readonly letGo?: () => void;
}

/** Loaded when it is first wanted: most servers never need it. */
async function trimHeap(): Promise<unknown> {
  const { mallocTrim } = await import('#native/sys/libc.ts');
  return mallocTrim(0);
}

/**
 * Gives the kernel what a flood of requests left, or a large deletion: V8 sweeps its heap as objects are made, so not where nothing
 * happens any more, and with the objects stay the buffers that they hold; and what buffers stood in is free in the C library's heap,
 * which shrinks at its end only. The sweep waits for a quiet moment, and goes in steps. The first is soon after the start, which
 * is such a flood itself: what was read, parsed and compiled once, and the bytes of 1,100 modules that Node's compile cache holds on to.
 */
export function giveMemoryBack({
  clock,
  logger,
  isForStart = false,
  usage = process.memoryUsage,
  trim = trimHeap,
  sweep = sweepInSteps,
  letGo = flushCompileCache,
}: MemoryPorts): Disposable {
  const stop = new AbortController();
  const { signal } = stop;
  let timer: Disposable | undefined;
  let leftBytes = 0;
  let lastHeapBytes = 0;
  let isStarting = true;
  const held = (): number => {
    const { rss, heapTotal, external } = usage();
    return rss - heapTotal - external;
  };
  const isSwept = async (): Promise<boolean> => {
    const { heapUsed, external } = usage();
    const isQuiet = Math.abs(heapUsed + external - lastHeapBytes) < quietBytesMax;
    lastHeapBytes = heapUsed + external;
    return isQuiet && (await sweep({ clock, signal }));
  };
  const look = async (): Promise<void> => {
    try {
      const wasSwept = await isSwept();
      if (wasSwept && isStarting) letGo();
      isStarting &&= !wasSwept;
      if (wasSwept || held() > Math.max(heldBytesMin, leftBytes + grownBytesMin)) {
        await trim();
        leftBytes = held();
      }
    } catch (error) {
      logger.debug({ error: describeError(error) }, 'memory is not given back: this C library cannot');
      return;
    }
    wait();
  };
  const wait = (): void => {
    if (!signal.aborted && (isStarting || !isForStart))
      timer = clock.after(isStarting ? firstLookMs : lookEveryMs, () => void look());
  };
  wait();
  return {
    [Symbol.dispose]: () => {
      stop.abort();
      timer?.[Symbol.dispose]();
    },
  };
}
