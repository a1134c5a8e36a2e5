import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { namespaces, nodes, pods, services } from '#api/schema/kind-ref.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import { inParallel, startLoaded } from '#test/scale/api-load.ts';
import { eventsOf, hasNode, informersOf, makeNodes, podAsking } from '#test/scale/control-plane.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/api/v1/namespaces/load/pods';
const [count, first] = [500, 20];

/** Pods that are there when the scheduler begins; what a decision costs, and its bind. */
export const binds: ScaleRow = {
  name: 'binds',
  operation: 'pod bound by the scheduler',
  of: 'nodes',
  limits: { usPerOperation: 1000 },
  sizes: [300, 1_250, 5_000],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = stack.use(await startLoaded('load'));
    await makeNodes(test, size);
    const informers = informersOf(stack, test);
    informers.for(pods);
    informers.for(nodes);
    informers.for(services);
    informers.for(namespaces);
    await informers.synced();
    const bind = async (name: string, many: number): Promise<() => Promise<void>> => {
      await inParallel(many, (index) => test.make(path, podAsking(`${name}${index}`, '10m')));
      const { told } = await eventsOf(test, path, { count: many, selector: hasNode });
      return async () => {
        await using _scheduler = startScheduler({
          informers,
          client: informers.client,
          clock: systemClock,
          logger: silentLogger,
        });

        await told;
      };
    };
    await (
      await bind('first', first)
    )();
    const cost = await measureTurns(await bind('p', count));
    return { operations: count, ...cost };
  },
};
