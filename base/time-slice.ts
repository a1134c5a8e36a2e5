import { performance } from 'node:perf_hooks';

/** What all kinds of work together take of one turn of the event loop, before they leave the rest to the next. */
const turnMsMax = 2;
/** What each of them has of a turn, however long the others took: so that all go on. */
const ownMsMin = 0.5;

const turn = { number: -1, startMs: 0 };

/** Which turn of the event loop this is: sockets, timers and `setImmediate` are looked at once in each. */
export function currentTurn(): number {
  return performance.nodeTiming.uvMetricsInfo.loopCount;
}

/** How long this turn has been worked in by those who ask here: the first who does begins it. */
function spentMs(nowMs: number): number {
  const number = currentTurn();
  if (number !== turn.number) {
    turn.number = number;
    turn.startMs = nowMs;
  }
  return nowMs - turn.startMs;
}

/** Lets others run now and then in a long loop: `if (slice.isOver()) await slice.next()`. */
export class TimeSlice {
  #startMs = performance.now();

  constructor() {
    spentMs(this.#startMs);
  }

  isOver(): boolean {
    const nowMs = performance.now();
    return spentMs(nowMs) > turnMsMax && nowMs - this.#startMs > ownMsMin;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.#startMs = performance.now();
  }
}

/**
 * How much of a turn of the event loop one kind of work takes, however many places do it: what comes in one read, or in messages that
 * follow each other, is all of one turn. All kinds share the turn, so that many of them make it no longer.
 */
export class TurnTime {
  /** The turn that was asked about last, and since when. */
  #turn = -1;
  #startMs = 0;

  /** Whether there is some left. The first time in a turn there is. */
  isLeft(): boolean {
    const nowMs = performance.now();
    const ofAllMs = spentMs(nowMs);
    if (turn.number !== this.#turn) {
      this.#turn = turn.number;
      this.#startMs = nowMs;
      return true;
    }
    return ofAllMs < turnMsMax || nowMs - this.#startMs < ownMsMin;
  }
}

/** Resolves once the event loop has looked at sockets and timers again. */
export function nextTurn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
}

/** Resolves once all who waited for what is known by now have gone on: what a call leads to in this turn has then been done. */
export function promisesSettled(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // The queue of ticks is looked at when that of promises is empty; but before it where a callback of the event loop has come to its end.
  queueMicrotask(() => process.nextTick(resolve));
  return promise;
}

/** Runs the steps to their end, letting others run now and then between two of them. */
export async function inSlices<T>(steps: Iterator<unknown, T>): Promise<T> {
  const slice = new TimeSlice();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (slice.isOver()) await slice.next();
  }
}
