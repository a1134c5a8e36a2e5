/** Whether the store itself takes writes, asked beside all servers: nobody can take over while it does not. */
import { systemClock } from '#base/clock.ts';

export interface Pulse extends AsyncDisposable {
  /** How long of the time between two moments no write came through, but for what an election takes. */
  outageMs(fromMs: number, toMs: number): number;
}

const paceMs = 300;
/** etcd's election timeout, and as much again until a write is answered on a machine that does other things as well. */
export const electionMs = 2000;

/** `write` resolves when a write is done, and throws when it is given up. Times are of systemClock.monotonic(). */
export function startPulse(write: () => Promise<unknown>): Pulse {
  const stop = new AbortController();
  const beats: number[] = [systemClock.monotonic()];
  const running = (async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const isDone = await write().then(
        () => true,
        () => false, // Seen as time without a beat.
      );
      if (isDone) beats.push(systemClock.monotonic());
      await systemClock.sleep(paceMs, stop.signal).catch(() => undefined);
    }
  })();
  return {
    outageMs: (fromMs, toMs) => outageOf(beats, fromMs, toMs),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

/** Pure: `beats` in order. What of a gap lies between the two moments counts, without its first part. */
export function outageOf(beats: readonly number[], fromMs: number, toMs: number): number {
  const gaps = [...beats, Infinity].map((end, index) => [beats[index - 1] ?? end, end] as const);
  return gaps.reduce((sum, [start, end]) => {
    const gapMs = Math.min(end, toMs) - Math.max(start + electionMs, fromMs);
    return sum + Math.max(0, gapMs);
  }, 0);
}
