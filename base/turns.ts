/** Work on one key, one after another, in the order of asking. */
export interface Turns {
  /** Resolves when all earlier turns of the key are over; disposing ends this one. */
  take(key: string): Promise<Disposable>;
}

export function createTurns(): Turns {
  const lasts = new Map<string, Promise<void>>();
  return {
    take: async (key) => {
      const before = lasts.get(key);
      const { promise, resolve } = Promise.withResolvers<void>();
      lasts.set(key, promise);
      await before;
      return {
        [Symbol.dispose]: () => {
          if (lasts.get(key) === promise) lasts.delete(key);
          resolve();
        },
      };
    },
  };
}
