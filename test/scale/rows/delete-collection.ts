import { statSync } from 'node:fs';
import { join } from 'node:path';
import { configMapNumber, deleteAll, inParallel, startLoaded } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/api/v1/namespaces/load/configmaps';

/** ConfigMaps of 1 KB, all deleted by one request. */
export const deleteCollection: ScaleRow = {
  name: 'delete-collection',
  operation: 'object deleted by DELETE of the collection',
  of: 'objects',
  sizes: [3_000, 12_000, 50_000],
  run: async (size) => {
    await using test = await startLoaded('load');

    await inParallel(size, (index) => test.make(path, configMapNumber(index)));
    const sizeNow = (): number => statSync(join(test.directory, 'store', 'store.db')).size;
    const before = sizeNow();
    let answer = 0;
    const cost = await measureTurns(async () => {
      answer = await deleteAll(test, path);
    });
    return {
      operations: size,
      ...cost,
      also: { 'bytes of the answer': answer, 'of the store before': before, 'and after': sizeNow() },
    };
  },
};
