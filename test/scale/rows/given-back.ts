import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { giveMemoryBack } from '#bin/program/give-memory-back.ts';
import { configMapNumber, deleteAll, inParallel, startLoaded } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/api/v1/namespaces/load/configmaps';
const waitMs = 120_000;
const quickMax = 2_000;

/** What was stored and is deleted: what is left of it two minutes later, in memory and on disk. */
export const givenBack: ScaleRow = {
  name: 'given-back',
  operation: 'object deleted, and what it took given back',
  of: 'objects',
  sizes: [6_000, 24_000, 95_000],
  run: async (size) => {
    await using test = await startLoaded('load');

    using _giving = giveMemoryBack({ clock: systemClock, logger: silentLogger });

    const memory = (): number => process.memoryUsage().rss / 1e6;
    const store = (): number => statSync(join(test.directory, 'store', 'store.db')).size / 1e6;
    const empty = memory();
    await inParallel(size, (index) => test.make(path, configMapNumber(index)));
    const full = { memory: memory(), store: store() };
    const cost = await measureTurns(async () => {
      await deleteAll(test, path);
      if (size > quickMax) await sleep(waitMs);
    });
    const also = {
      ...{ 'MB of memory when empty': empty, full: full.memory, 'two minutes after': memory() },
      ...{ 'of the store when full': full.store, 'and after': store() },
    };
    return { operations: size, ...cost, also };
  },
};
