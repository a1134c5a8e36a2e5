import { eventsOf, hasNode, makeNodes, startControlPlane } from '#test/scale/control-plane.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/apis/apps/v1/namespaces/load/daemonsets';

/** A pod on each node. */
export const daemonSet: ScaleRow = {
  name: 'daemon-set',
  operation: 'pod of a DaemonSet made and bound',
  of: 'nodes',
  sizes: [60, 250, 1_000],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = await startControlPlane(stack, 'load');
    await makeNodes(test, size);
    const make = async (name: string, nodes: number, nodeSelector: object): Promise<void> => {
      const pods = '/api/v1/namespaces/load/pods';
      const { told } = await eventsOf(test, pods, { count: nodes, selector: hasNode });
      const labels = { of: name };
      const template = {
        metadata: { labels },
        spec: { nodeSelector, containers: [{ name: 'c', image: 'i' }] },
      };
      await test.make(path, { metadata: { name }, spec: { selector: { matchLabels: labels }, template } });
      await told;
    };
    await test.call('PATCH', '/api/v1/nodes/n0', {
      body: { metadata: { labels: { first: '' } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    await make('first', 1, { first: '' });
    const cost = await measureTurns(() => make('d', size, {}));
    return { operations: size, ...cost };
  },
};
