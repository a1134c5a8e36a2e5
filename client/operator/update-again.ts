import { backoffMs, type Backoff } from '#base/backoff.ts';
import { systemClock, type Clock } from '#base/clock.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import { isConflict } from '#client/api-error.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';

const conflictBackoff: Backoff = { initialMs: 10, factor: 2, maxMs: 1000 };
const triesDefault = 8;

export interface ConflictOptions {
  /** In all. Default 8. */
  readonly triesMax?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Spreads writers that meet. */
  readonly random?: (() => number) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Does it again while it fails with a Conflict: `work` reads anew each time. The last failure is thrown. */
export async function retryOnConflict<T>(work: () => Promise<T>, options: ConflictOptions = {}): Promise<T> {
  const { triesMax = triesDefault, clock = systemClock, random = Math.random, signal } = options;
  for (let failures = 1; ; failures++) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (!isConflict(error) || failures >= triesMax) throw error;
      await clock.sleep(backoffMs(conflictBackoff, failures) * (0.5 + random() / 2), signal);
    }
  }
}

/**
 * Reads an object, changes it and writes it, again when somebody was first. `change` gives undefined, or the object itself, when there is
 * nothing to change; then nothing is written.
 */
export async function updateAgain<T>(
  client: ApiClient,
  where: ObjectRef & { readonly kind: KindRef<T>; readonly subresource?: string | undefined },
  change: (object: T) => T | undefined,
  options: ConflictOptions = {},
): Promise<T> {
  const { kind, subresource, ...ref } = where;
  return retryOnConflict(async () => {
    const object = await client.get(kind, ref);
    const changed = change(object);
    return changed === undefined || changed === object
      ? object
      : client.update(kind, changed, subresource === undefined ? {} : { subresource });
  }, options);
}
