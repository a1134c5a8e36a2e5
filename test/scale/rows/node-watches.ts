import { openWatch, podNumber, startLoaded } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const writes = 100;

/** Each node watches its own pods; one pod's status is written. */
export const nodeWatches: ScaleRow = {
  name: 'node-watches',
  operation: "write of a pod's status",
  of: 'watches by spec.nodeName',
  sizes: [1, 312, 1_250, 5_000],
  run: async (size) => {
    await using test = await startLoaded('load');

    const stop = new AbortController();
    await test.make('/api/v1/namespaces/load/pods', podNumber(0, 1));
    const since = test.server.store.revision;
    for (let node = 0; node < size; node++) {
      const query = `watch=true&resourceVersion=${since}&fieldSelector=spec.nodeName%3Dn${node}`;
      await openWatch(test, `/api/v1/pods?${query}`, { signal: stop.signal });
    }
    const write = (index: number): Promise<unknown> =>
      test.call('PATCH', '/api/v1/namespaces/load/pods/p000000/status', {
        body: { status: { message: `${index}` } },
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
