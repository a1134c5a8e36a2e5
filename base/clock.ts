/**
 * The longest wait of one timer, 24.8 days: Node's setTimeout takes a signed 32-bit number, and what is longer is due after 1 ms
 * (nodejs.org/api/timers.html). A clock waits longer in pieces.
 */
export const timerMsMax = 2_147_483_647;

/**
 * Time as a parameter: everything that waits or asks for the time takes one. Any wait will do: of 0 or less, it is due at once; of
 * more than `timerMsMax`, in its time; of NaN (a date that is none), never.
 */
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

/** That of this process. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => sleepReal(ms, signal),
  after: (ms, callback) => startTimer(ms, callback, false),
};

/** A signal that aborts after `ms`, as AbortSignal.timeout does, for waits of any length. */
export function timeoutSignal(ms: number): AbortSignal {
  if (ms >= 0 && ms <= timerMsMax) return AbortSignal.timeout(ms);
  const controller = new AbortController();
  startTimer(ms, () => controller.abort(new DOMException('timed out', 'TimeoutError')), false);
  return controller.signal;
}

/** Calls back once after `ms`, however long that is. */
function startTimer(ms: number, callback: () => void, keepsProcess: boolean): Disposable {
  const dueMs = performance.now() + (Number.isNaN(ms) ? Infinity : ms);
  let timer: NodeJS.Timeout;
  const wait = (leftMs: number): void => {
    timer = leftMs > timerMsMax ? setTimeout(next, timerMsMax) : setTimeout(callback, Math.max(0, leftMs));
    if (!keepsProcess) timer.unref();
  };
  const next = (): void => wait(dueMs - performance.now());
  wait(Number.isNaN(ms) ? Infinity : ms);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

function sleepReal(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted === true) {
    reject(signal.reason);
    return promise;
  }
  const onAbort = (): void => {
    timer[Symbol.dispose]();
    reject(signal?.reason);
  };
  const end = (): void => {
    signal?.removeEventListener('abort', onAbort);
    resolve();
  };
  const timer = startTimer(ms, end, true);
  signal?.addEventListener('abort', onAbort, { once: true });
  return promise;
}

export interface FakeClock extends Clock {
  /** Moves time on and runs what became due, in order of time. */
  advance(ms: number): void;
  /** Moves time on without running anything, as for a process that is stopped: what is due runs at the next advance. */
  stop(ms: number): void;
}

/** A clock that stands still until it is moved. */
export function createFakeClock(startMs = 0): FakeClock {
  let nowMs = startMs;
  let nextId = 0;
  const timers = new Map<number, { readonly dueMs: number; readonly run: () => void }>();
  const after = (ms: number, callback: () => void): Disposable => {
    const id = nextId++;
    timers.set(id, { dueMs: nowMs + (Number.isNaN(ms) ? Infinity : Math.max(0, ms)), run: callback });
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
    stop: (ms) => {
      nowMs += ms;
    },
  };
}
