import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createRandom } from '#base/random.fixture.ts';
import { giveMemoryBack } from '#bin/program/give-memory-back.ts';
import { configMapNumber, inParallel, openWatch, podNumber, startLoaded } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const namespace = '/api/v1/namespaces/load';
const merge = { 'content-type': 'application/merge-patch+json' };
const [names, nodes, watches, waitMs, quickMax] = [400, 20, 20, 120_000, 2_000];
const seed = 21;

/** Pods and ConfigMaps that come, change and go, lists and watches beside them: what a server keeps of its past. */
export const mixedLoad: ScaleRow = {
  name: 'mixed-load',
  operation: 'write among others, of a few hundred objects that come and go',
  of: 'writes',
  sizes: [7_500, 30_000, 120_000],
  run: async (size) => {
    await using test = await startLoaded('load');

    using _giving = giveMemoryBack({ clock: systemClock, logger: silentLogger });

    const stop = new AbortController();
    const random = createRandom(seed);
    const memory = (): number => process.memoryUsage().rss / 1e6;
    const store = (): number => statSync(join(test.directory, 'store', 'store.db')).size / 1e6;
    const empty = memory();
    let peak = empty;
    for (let watch = 0; watch < watches; watch++) {
      const path = `${namespace}/${watch % 2 === 0 ? 'pods' : 'configmaps'}`;
      await openWatch(test, `${path}?watch=true&resourceVersion=${test.server.store.revision}`, stop);
    }
    const write = async (index: number): Promise<unknown> => {
      if (index % 500 === 0) {
        peak = Math.max(peak, memory());
        await test.call('GET', `${namespace}/pods`);
      }
      const number = Math.floor(random() * names);
      const isPod = random() < 0.5;
      const path = `${namespace}/${isPod ? 'pods' : 'configmaps'}`;
      const object = isPod ? podNumber(number, nodes) : configMapNumber(number);
      const { name } = (object as { readonly metadata: { readonly name: string } }).metadata;
      const { status } = await test.call('POST', path, { body: object });
      if (status !== 409) return undefined;
      if (random() < 0.25) return test.call('DELETE', `${path}/${name}`);
      const body = { metadata: { annotations: { at: `${index}` } } };
      return test.call('PATCH', `${path}/${name}`, { body, headers: merge });
    };
    const cost = await measureTurns(() => inParallel(size, write));
    const full = store();
    stop.abort();
    if (size > quickMax) await sleep(waitMs);
    const also = {
      ...{ 'MB of memory when empty': empty, 'at most': peak, 'two minutes after': memory() },
      ...{ 'of the store at the end': full, 'and after': store() },
    };
    return { operations: size, ...cost, also };
  },
};
