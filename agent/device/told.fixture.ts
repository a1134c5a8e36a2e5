export interface Told<T> {
  tell(value: T): void;
  /** What is told now, then whatever is told, until the signal. */
  from(signal: AbortSignal): AsyncIterable<T>;
}

/** Something that a driver says again as it changes. */
export function createTold<T>(first: T): Told<T> {
  let current = first;
  let changed = Promise.withResolvers<void>();
  return {
    tell: (value) => {
      current = value;
      const { resolve } = changed;
      changed = Promise.withResolvers();
      resolve();
    },
    from: async function* (signal) {
      const gone = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => gone.resolve(), { once: true });
      while (!signal.aborted) {
        const next = changed.promise;
        yield current;
        await Promise.race([next, gone.promise]);
      }
    },
  };
}
