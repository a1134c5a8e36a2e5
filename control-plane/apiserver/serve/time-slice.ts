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

/** Resolves once the event loop has looked at sockets and timers again. */
export function nextTurn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
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
