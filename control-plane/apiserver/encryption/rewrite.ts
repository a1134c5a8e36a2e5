import { describeError } from '#base/errors.ts';
import { SealedStore } from '#control-plane/store/sealed/sealed-store.ts';
import type { Store } from '#control-plane/store/store.ts';
import type { Encryption } from './encryption.ts';

/** What came of it. */
export interface Rewritten {
  /** Values that may be sealed, and how many of these were written anew. */
  readonly values: number;
  readonly rewritten: number;
  /** Values that cannot be read, each with why; they stay as they are. */
  readonly failed: readonly string[];
}

const pageValues = 500;
/** Of those that cannot be read, how many are told. */
export const failuresMax = 100;

/** Writes every value anew that its first provider has not written, and forgets what was before. */
export async function rewriteSealed(store: Store, encryption: Encryption): Promise<Rewritten> {
  const sealed = new SealedStore(store, encryption);
  const failed: string[] = [];
  let [values, rewritten] = [0, 0];
  for (let from: string | undefined = '/registry/'; from !== undefined;) {
    const page = await store.range('/registry/', { from, limit: pageValues });
    for (const { key } of page.values) {
      if (!encryption.mayHold(key)) continue;
      values++;
      try {
        const isDone = { now: false };
        await sealed.update(key, (current) => {
          isDone.now = current?.isStale === true;
          if (current?.isStale !== true) return undefined;
          return { ops: [{ op: 'put', key, value: current.value, lease: current.lease }] };
        });
        if (isDone.now) rewritten++;
      } catch (error) {
        if (failed.length < failuresMax) failed.push(`${key}: ${describeError(error)}`);
      }
    }
    const last = page.values.at(-1);
    from = page.more && last !== undefined ? `${last.key}\0` : undefined;
  }
  if (rewritten > 0) await store.compact(store.revision);
  return { values, rewritten, failed };
}
