import { inParallel, podNumber, startLoaded } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';
import { drain } from './list-by-label.ts';

const path = '/api/v1/namespaces/load/pods';
const lists = 5;
const nodes = 100;

/** Pods of a hundred nodes; those of one are asked for. */
export const listByField: ScaleRow = {
  name: 'list-by-field',
  operation: 'pod looked at by a LIST with spec.nodeName, of which a hundredth is sent',
  of: 'pods',
  sizes: [1_000, 4_000, 16_000],
  run: async (size) => {
    await using test = await startLoaded('load');

    await inParallel(size, (index) => test.make(path, podNumber(index, nodes)));
    const list = (): Promise<unknown> => drain(test.server, `${path}?fieldSelector=spec.nodeName%3Dn1`);
    await list();
    const cost = await measureTurns(async () => {
      for (let round = 0; round < lists; round++) await list();
    });
    return { operations: size * lists, ...cost };
  },
};
