import { deploymentNamed } from '#control-plane/apiserver/test-server.fixture.ts';
import { eventsOf, hasNode, makeNodes, startControlPlane } from '#test/scale/control-plane.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/apis/apps/v1/namespaces/load/deployments';
const first = 20;

/** From a Deployment to pods that all have a node. */
export const deployment: ScaleRow = {
  name: 'deployment',
  operation: 'pod of a Deployment made and bound',
  of: 'replicas',
  sizes: [60, 250, 1_000],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = await startControlPlane(stack, 'load');
    await makeNodes(test, Math.ceil((size + first) / 100));
    const make = async (name: string, replicas: number): Promise<void> => {
      const { told } = await eventsOf(test, '/api/v1/namespaces/load/pods', {
        count: replicas,
        selector: hasNode,
      });
      const labels = { of: name };
      const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
      await test.make(path, deploymentNamed(name, { replicas, template, selector: { matchLabels: labels } }));
      await told;
    };
    await make('first', first);
    const cost = await measureTurns(() => make('d', size));
    return { operations: size, ...cost };
  },
};
