import type { Clock } from '#base/clock.ts';
import type { VirtualTime } from './virtual-time.ts';

/**
 * One life of a simulated program. Nothing can end the promises of a program that crashes, so its ports end: its timers never fire, its
 * requests are never answered, and what it still does in memory nobody sees.
 */
export class Program {
  readonly name: string;
  readonly clock: Clock;
  readonly #time: VirtualTime;
  readonly #timers = new Set<Disposable>();
  readonly #onCrash = new Set<() => void>();
  /** What its wall clock shows beyond the world's. */
  wallOffsetMs = 0;
  isAlive = true;
  readonly bornMs: number;
  /** Calls of its ports until it crashes; undefined: it does not. */
  #callsLeft: number | undefined;

  constructor(name: string, time: VirtualTime) {
    this.name = name;
    this.#time = time;
    this.bornMs = time.nowMs;
    this.clock = {
      now: () => Math.floor(time.wallMs + this.wallOffsetMs),
      monotonic: () => time.sinceMs,
      after: (ms, callback) => this.#after(ms, callback),
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  /** Told once when it crashes. */
  onCrash(listener: () => void): Disposable {
    this.#onCrash.add(listener);
    return { [Symbol.dispose]: () => void this.#onCrash.delete(listener) };
  }

  /** Ends it at the call of a port that many calls from now, in the middle of whatever it does then. */
  crashAfter(calls: number): void {
    this.#callsLeft = Math.max(0, calls);
  }

  /** Each call of a port goes by here. @returns whether it is still alive */
  pass(): boolean {
    if (!this.isAlive) return false;
    if (this.#callsLeft === undefined) return true;
    if (this.#callsLeft-- > 0) return true;
    this.crash();
    return false;
  }

  crash(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#timers.clear();
    for (const listener of this.#onCrash) listener();
    this.#onCrash.clear();
  }

  #after(ms: number, callback: () => void): Disposable {
    if (!this.isAlive) return { [Symbol.dispose]: () => undefined };
    const timer = this.#time.after(ms, () => {
      this.#timers.delete(timer);
      if (this.isAlive) callback();
    });
    this.#timers.add(timer);
    return {
      [Symbol.dispose]: () => {
        this.#timers.delete(timer);
        timer[Symbol.dispose]();
      },
    };
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (signal?.aborted === true) {
      reject(signal.reason);
      return promise;
    }
    const onAbort = (): void => {
      timer[Symbol.dispose]();
      reject(signal?.reason);
    };
    const timer = this.#after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    return promise;
  }
}

/** What a crashed program waits for. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
