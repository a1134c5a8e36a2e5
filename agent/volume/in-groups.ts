import { settleAll } from '#base/settle-all.ts';

/** At once at most: what a pod asks for in thousands is not all begun before the first of it was refused. */
const groupSize = 16;

/**
 * Runs for each of the list, so many at once, and no more after the first that failed. It is thrown when those beside it have
 * ended too: whoever tries again meets nothing that is still under way.
 */
export async function inGroups<T, U>(
  list: readonly T[],
  run: (each: T) => Promise<U>,
): Promise<readonly U[]> {
  const done: U[] = [];
  for (let at = 0; at < list.length; at += groupSize) {
    done.push(...(await settleAll(list.slice(at, at + groupSize).map(run))));
  }
  return done;
}
