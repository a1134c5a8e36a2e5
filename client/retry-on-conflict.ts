import type { Backoff } from '#base/backoff.ts';
import { backoffMs } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { isConflict } from './api-error.ts';

const triesMax = 5;
const conflictBackoff: Backoff = { initialMs: 10, factor: 2, maxMs: 200 };

/** Does `attempt` (read, change, write) again while somebody else's write came between. @throws the last conflict. */
export async function retryOnConflict<T>(
  clock: Clock,
  attempt: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isConflict(error) || failures >= triesMax) throw error;
      await clock.sleep(backoffMs(conflictBackoff, failures), signal);
    }
  }
}
