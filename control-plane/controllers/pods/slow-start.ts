import { nextTurn, TurnTime } from '#base/time-slice.ts';

/** Of all owners: what a write does before it waits is a part of the turn. */
const writingTime = new TurnTime();

/** Writes of one batch that are under way at once. */
const batchMax = 64;

/**
 * Does `count` times the same, in batches of 1, 2, 4, …: when the API refuses the first, it is not asked hundreds of times
 * more. Stops after the first batch with a failure. How many were done, and the first failure.
 */
export async function slowStart(
  count: number,
  act: (index: number) => Promise<void>,
): Promise<{ readonly done: number; readonly error: unknown }> {
  let done = 0;
  for (let size = 1; done < count; size = Math.min(size * 2, batchMax)) {
    const start = done;
    const batch: Promise<void>[] = [];
    for (let index = start; index < Math.min(start + size, count); index++) {
      while (!writingTime.isLeft()) await nextTurn();
      batch.push(act(index));
    }
    const results = await Promise.allSettled(batch);
    const failed = results.filter((result) => result.status === 'rejected');
    done += results.length - failed.length;
    const [first] = failed;
    if (first !== undefined) return { done, error: first.reason };
  }
  return { done, error: undefined };
}
