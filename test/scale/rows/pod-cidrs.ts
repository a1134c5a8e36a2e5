import { runNodeIpam } from '#control-plane/controllers/node-ipam/reconcile.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import { inParallel, startLoaded } from '#test/scale/api-load.ts';
import { contextOf, eventsOf, informersOf } from '#test/scale/control-plane.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/api/v1/nodes';

/** Nodes that all come at once. */
export const podCidrs: ScaleRow = {
  name: 'pod-cidrs',
  operation: 'node given its podCIDR',
  of: 'nodes',
  sizes: [300, 1_250, 5_000],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = stack.use(await startLoaded('load'));
    await inParallel(size, (index) => test.make(path, { metadata: { name: `n${index}` } }));
    const informers = informersOf(stack, test);
    informers.for(nodes);
    await informers.synced();
    const { told } = await eventsOf(test, path, { count: size });
    const cost = await measureTurns(async () => {
      stack.use(runNodeIpam(contextOf(stack, informers), { clusterCidrs: ['10.0.0.0/8'] }));
      await told;
    });
    return { operations: size, ...cost };
  },
};
