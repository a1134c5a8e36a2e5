import type { Clock } from '#base/clock.ts';
import type { PackableValue } from './packable-value.ts';

const roundMs = 2000;

/** Goes round the long values of an index, and packs what was not read since the last round. */
export function packIdleValues(clock: Clock, values: () => Iterable<PackableValue>): Disposable {
  let isOver = false;
  const round = async (): Promise<void> => {
    // One after another: it takes one thread of Node's pool, and nobody waits for it.
    for (const value of values()) {
      if (isOver) return;
      await value.rest();
    }
    if (!isOver) timer = clock.after(roundMs, () => void round());
  };
  let timer = clock.after(roundMs, () => void round());
  return {
    [Symbol.dispose]: () => {
      isOver = true;
      timer[Symbol.dispose]();
    },
  };
}
