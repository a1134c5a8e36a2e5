import { performance } from 'node:perf_hooks';

/** Time as a parameter: everything that waits or asks for the time takes one. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Monotonic milliseconds, for durations. */
  monotonic(): number;
  /** Resolves after `ms`, rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once after `ms`; dispose to cancel. The timer does not keep the process alive. */
  after(ms: number, callback: () => void): Disposable;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => sleepReal(ms, signal),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

function sleepReal(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted === true) {
    reject(signal.reason);
    return promise;
  }
  const onAbort = (): void => {
    clearTimeout(timer);
    reject(signal?.reason);
  };
  const timer = setTimeout(() => {
    signal?.removeEventListener('abort', onAbort);
    resolve();
  }, ms);
  signal?.addEventListener('abort', onAbort, { once: true });
  return promise;
}

export interface FakeClock extends Clock {
  /** Moves time on and runs what became due, in order of time. */
  advance(ms: number): void;
}

/** A clock that stands still until it is moved. */
export function createFakeClock(startMs = 0): FakeClock {
  let nowMs = startMs;
  let nextId = 0;
  const timers = new Map<number, { readonly dueMs: number; readonly run: () => void }>();
  const after = (ms: number, callback: () => void): Disposable => {
    const id = nextId++;
    timers.set(id, { dueMs: nowMs + ms, run: callback });
    return { [Symbol.dispose]: () => void timers.delete(id) };
  };
  return {
    now: () => nowMs,
    monotonic: () => nowMs - startMs,
    after,
    sleep: (ms, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      if (signal?.aborted === true) reject(signal.reason);
      const timer = after(ms, resolve);
      signal?.addEventListener('abort', () => {
        timer[Symbol.dispose]();
        reject(signal.reason);
      });
      return promise;
    },
    advance: (ms) => {
      const end = nowMs + ms;
      for (;;) {
        const due = [...timers]
          .filter(([, timer]) => timer.dueMs <= end)
          .toSorted((a, b) => a[1].dueMs - b[1].dueMs || a[0] - b[0])[0];
        if (due === undefined) break;
        timers.delete(due[0]);
        nowMs = Math.max(nowMs, due[1].dueMs);
        due[1].run();
      }
      nowMs = end;
    },
  };
}
