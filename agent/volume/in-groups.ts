/** At once at most: what a pod asks for in thousands is not all begun before the first of it was refused. */
const groupSize = 16;

/** Runs for each of the list, so many at once, and no more after the first that failed. */
export async function inGroups<T, U>(
  list: readonly T[],
  run: (each: T) => Promise<U>,
): Promise<readonly U[]> {
  const done: U[] = [];
  for (let at = 0; at < list.length; at += groupSize) {
    done.push(...(await Promise.all(list.slice(at, at + groupSize).map(run))));
  }
  return done;
}
