import { backoffMs } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';

/** When a driver that failed is asked again: its own words on the object, which a watch brings back, are no reason to. */
export interface RetryGate {
  /** How long to wait before it is asked this of the object; 0: not at all. What was not asked before is asked at once. */
  waitMs(uid: string, what: string): number;
  /** What failed last, where that was final. */
  refused(uid: string): string | undefined;
  fail(uid: string, what: string, how: { readonly isFinal: boolean; readonly minMs?: number }): void;
  /** It was done, or is not asked for any more. */
  clear(uid: string): void;
}

interface Failure {
  readonly what: string;
  readonly isFinal: boolean;
  readonly count: number;
  readonly dueMs: number;
}

/** Objects that fail at once, at most: the oldest is then asked sooner. */
const failuresMax = 10_000;
/** As external-resizer: --retry-interval-start and -max. */
const backoff = { initialMs: 1_000, factor: 2, maxMs: 300_000 };

export function createRetryGate(clock: Pick<Clock, 'monotonic'>): RetryGate {
  const failures = new Map<string, Failure>();
  return {
    waitMs: (uid, what) => {
      const known = failures.get(uid);
      return known?.what === what ? Math.max(0, known.dueMs - clock.monotonic()) : 0;
    },
    refused: (uid) => {
      const known = failures.get(uid);
      return known?.isFinal === true ? known.what : undefined;
    },
    fail: (uid, what, { isFinal, minMs = 0 }) => {
      const known = failures.get(uid);
      const count = known?.what === what ? known.count + 1 : 1;
      const dueMs = clock.monotonic() + Math.max(minMs, backoffMs(backoff, count));
      failures.delete(uid);
      failures.set(uid, { what, isFinal, count, dueMs });
      const [oldest] = failures.keys();
      if (failures.size > failuresMax && oldest !== undefined) failures.delete(oldest);
    },
    clear: (uid) => void failures.delete(uid),
  };
}
