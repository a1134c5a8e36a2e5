import type { Clock } from './clock.ts';

/**
 * Since when this process has been there without a gap. Whoever judges others by their silence asks it: stopped, starved, or on a
 * laptop that slept, it heard nobody, whoever spoke.
 */
export interface Presence extends Disposable {
  /** Monotonic milliseconds (of the clock it was made with). */
  sinceMs(): number;
  /** Says that nothing could be heard until now, for another reason. */
  restart(): void;
}

const tickMs = 1000;
/** A turn of the event loop takes no such time; a process that missed that much may have missed anything. */
export const absenceMsMin = 5000;

/** Watches itself: by its own ticks, and by the clock of the wall, which goes on while the machine sleeps. */
export function watchPresence(clock: Clock): Presence {
  let sinceMs = clock.monotonic();
  let last = { monotonicMs: sinceMs, wallMs: clock.now() };
  let timer: Disposable;
  const look = (): void => {
    const now = { monotonicMs: clock.monotonic(), wallMs: clock.now() };
    const passedMs = now.monotonicMs - last.monotonicMs;
    // CLOCK_MONOTONIC stands still in suspend (clock_gettime(2)); a wall clock that was set costs no more than patience.
    const sleptMs = now.wallMs - last.wallMs - passedMs;
    if (passedMs >= absenceMsMin || sleptMs >= absenceMsMin) sinceMs = now.monotonicMs;
    last = now;
  };
  const tick = (): void => {
    look();
    timer = clock.after(tickMs, tick);
  };
  timer = clock.after(tickMs, tick);
  return {
    sinceMs: () => {
      look(); // Whoever asks may be due before the tick that was missed.
      return sinceMs;
    },
    restart: () => {
      sinceMs = clock.monotonic();
    },
    [Symbol.dispose]: () => timer[Symbol.dispose](),
  };
}
