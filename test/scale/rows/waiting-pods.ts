import { inParallel } from '#test/scale/api-load.ts';
import { eventsOf, hasNode, makeNodes, podAsking, startControlPlane } from '#test/scale/control-plane.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/api/v1/namespaces/load/pods';
const count = 50;

/** Pods that no node has room for, while others get a node. */
export const waitingPods: ScaleRow = {
  name: 'waiting-pods',
  operation: 'unrelated pod made and bound',
  of: 'pods that wait',
  sizes: [60, 250, 1_000],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = await startControlPlane(stack, 'load');
    await makeNodes(test, 3);
    // Each is written once more, when it is known that it has to wait, and has an event of its own.
    const noted = await eventsOf(test, path, { count: 2 * size });
    const said = await eventsOf(test, '/api/v1/namespaces/load/events', { count: size });
    await inParallel(size, (index) => test.make(path, podAsking(`w${index}`, '1000')));
    await noted.told;
    await said.told;
    const before = test.server.store.revision;
    const cost = await measureTurns(async () => {
      const { told } = await eventsOf(test, path, { count, selector: hasNode });
      for (let index = 0; index < count; index++) await test.make(path, podAsking(`p${index}`, '10m'));
      await told;
    });
    // A pod, its bind, and an event that says so.
    const more = test.server.store.revision - before - 3 * count;
    return { operations: count, ...cost, also: { 'more writes': Math.max(0, more) } };
  },
};
