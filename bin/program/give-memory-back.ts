import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import { describeError } from '#base/errors.ts';

const lookEveryMs = 15_000;
/** What the C library holds is worth a look from so many bytes on, and again when it has grown by so many. */
const heldBytesMin = 201_326_592;
const grownBytesMin = 33_554_432;

export interface MemoryPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly usage?: () => NodeJS.MemoryUsage;
  readonly trim?: () => Promise<unknown>;
}

/** Loaded when it is first wanted: most servers never need it. */
async function trimHeap(): Promise<unknown> {
  const { mallocTrim } = await import('#native/sys/libc.ts');
  return mallocTrim(0);
}

/**
 * Gives the kernel what a flood of requests left: V8 gives its heap back by itself, but what buffers stood in is free in the C
 * library's heap, which shrinks at its end only.
 */
export function giveMemoryBack({
  clock,
  logger,
  usage = process.memoryUsage,
  trim = trimHeap,
}: MemoryPorts): Disposable {
  let isStopped = false;
  let timer: Disposable | undefined;
  let leftBytes = 0;
  const held = (): number => {
    const { rss, heapTotal, external } = usage();
    return rss - heapTotal - external;
  };
  const look = async (): Promise<void> => {
    try {
      if (held() > Math.max(heldBytesMin, leftBytes + grownBytesMin)) {
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
    if (!isStopped) timer = clock.after(lookEveryMs, () => void look());
  };
  wait();
  return {
    [Symbol.dispose]: () => {
      isStopped = true;
      timer?.[Symbol.dispose]();
    },
  };
}
