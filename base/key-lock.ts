/** Work of one key one after another; of different keys beside each other. */
export type KeyLock = <T>(key: string, work: () => Promise<T>) => Promise<T>;

/** Keys are forgotten when nothing of them waits. */
export function createKeyLock(): KeyLock {
  const tails = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const before = tails.get(key);
    const own = (async () => {
      await before?.catch(() => undefined); // Told to whoever began it.
      return work();
    })();
    tails.set(key, own);
    try {
      return await own;
    } finally {
      if (tails.get(key) === own) tails.delete(key);
    }
  };
}
