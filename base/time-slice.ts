import { performance } from 'node:perf_hooks';

const sliceMs = 8;

/** Lets others run now and then in a long loop: `if (slice.isOver()) await slice.next()`. */
export class TimeSlice {
  #startMs = performance.now();

  isOver(): boolean {
    return performance.now() - this.#startMs > sliceMs;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.#startMs = performance.now();
  }
}

/**
 * How much of a turn of the event loop one kind of work takes, however many places do it: what comes in one read, or in messages that
 * follow each other, is all of one turn.
 */
export class TurnTime {
  readonly #ms: number;
  /** The turn that was asked about last, and since when. */
  #turn = -1;
  #startMs = 0;

  constructor(ms: number = sliceMs) {
    this.#ms = ms;
  }

  /** Whether there is some left. The first who asks in a turn begins it. */
  isLeft(): boolean {
    const turn = performance.nodeTiming.uvMetricsInfo.loopCount;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#startMs = performance.now();
      return true;
    }
    return performance.now() - this.#startMs < this.#ms;
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
  process.nextTick(resolve); // Its queue is looked at when that of promises is empty.
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
