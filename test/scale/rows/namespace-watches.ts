import { configMapNumber, openWatch, startLoaded } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const writes = 100;

/** Watches of as many namespaces, none of them that of the object that is written. */
export const namespaceWatches: ScaleRow = {
  name: 'namespace-watches',
  operation: 'write of a ConfigMap that nobody watches',
  of: 'watches of other namespaces',
  sizes: [1, 312, 1_250, 5_000],
  run: async (size) => {
    await using test = await startLoaded('load');

    const stop = new AbortController();
    const path = '/api/v1/namespaces/load/configmaps';
    await test.make(path, configMapNumber(0));
    const since = test.server.store.revision;
    for (let other = 0; other < size; other++) {
      const watched = `/api/v1/namespaces/other-${other}/configmaps`;
      await openWatch(test, `${watched}?watch=true&resourceVersion=${since}`, { signal: stop.signal });
    }
    const write = (index: number): Promise<unknown> =>
      test.call('PATCH', `${path}/c000000`, {
        body: { data: { index: `${index}` } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    for (let index = 0; index < writes; index++) await write(index);
    const cost = await measureTurns(async () => {
      for (let index = 0; index < writes; index++) await write(writes + index);
    });
    stop.abort();
    return { operations: writes, ...cost };
  },
};
