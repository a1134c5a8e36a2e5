import type { Clock } from '#base/clock.ts';

/** How long is still to be waited for something of a key, since that was first asked. */
export interface Patience {
  /** Above 0: wait. */
  leftMs(key: string): number;
  /** It came, or is not waited for any more. */
  end(key: string): void;
}

export function createPatience(clock: Clock, msMax: number): Patience {
  const sinceMs = new Map<string, number>();
  return {
    leftMs: (key) => {
      const nowMs = clock.monotonic();
      const since = sinceMs.get(key) ?? nowMs;
      sinceMs.set(key, since);
      return since + msMax - nowMs;
    },
    end: (key) => void sinceMs.delete(key),
  };
}
