import { configMapNumber, linesIn, openWatch, startLoaded } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const writes = 40;

/** All watch the one object by its name, as clients that wait for it do, and all are told each change. */
export const eventDelivery: ScaleRow = {
  name: 'event-delivery',
  operation: 'event told to a watch by metadata.name',
  of: 'watches',
  sizes: [30, 125, 500, 2_000],
  run: async (size) => {
    await using test = await startLoaded('load');

    const stop = new AbortController();
    const path = '/api/v1/namespaces/load/configmaps';
    await test.make(path, configMapNumber(0));
    const query = `watch=true&resourceVersion=${test.server.store.revision}&fieldSelector=metadata.name%3Dc000000`;
    let left = size * writes;
    const { promise: told, resolve } = Promise.withResolvers<void>();
    const onBytes = (bytes: Uint8Array): void => {
      left -= linesIn(bytes);
      if (left <= 0) resolve();
    };
    for (let watch = 0; watch < size; watch++) {
      await openWatch(test, `${path}?${query}`, { signal: stop.signal, onBytes });
    }
    const cost = await measureTurns(async () => {
      for (let index = 0; index < writes; index++) {
        await test.call('PATCH', `${path}/c000000`, {
          body: { data: { index: `${index}` } },
          headers: { 'content-type': 'application/merge-patch+json' },
        });
      }
      await told;
    });
    stop.abort();
    return { operations: size * writes, ...cost };
  },
};
