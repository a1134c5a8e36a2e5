import { performance } from 'node:perf_hooks';

const sliceMs = 8;

/** Lets others run now and then in a long loop: `if (slice.isOver()) await slice.next()`. */
export class TimeSlice {
  #startMs = performance.now();

  isOver(): boolean {
    return performance.now() - this.#startMs > sliceMs;
  }

  async next(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    setImmediate(resolve);
    await promise;
    this.#startMs = performance.now();
  }
}
