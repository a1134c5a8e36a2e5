import { eventsOf, startControlPlane } from '#test/scale/control-plane.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

const path = '/apis/apps/v1/namespaces/load/replicasets';

/** A ReplicaSet that waits for its pods to go first: each that went has it looked at. */
export const foreground: ScaleRow = {
  name: 'foreground',
  operation: 'pod deleted before its ReplicaSet',
  of: 'replicas',
  sizes: [100, 400, 1_600],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = await startControlPlane(stack, 'load');
    const pods = '/api/v1/namespaces/load/pods';
    const make = async (name: string, replicas: number): Promise<void> => {
      const labels = { of: name };
      const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
      const { told } = await eventsOf(test, pods, { count: replicas });
      const spec = { replicas, selector: { matchLabels: labels }, template };
      await test.make(path, { metadata: { name }, spec });
      await told;
    };
    const remove = async (name: string): Promise<void> => {
      const query = `fieldSelector=metadata.name%3D${name}`;
      const { promise: gone, resolve } = Promise.withResolvers<void>();
      const look = async (): Promise<void> => {
        for (;;) {
          const { told } = await eventsOf(test, path, { count: 1, selector: query });
          if ((await test.call('GET', `${path}/${name}`)).status === 404) return resolve();
          await told;
        }
      };
      await test.call('DELETE', `${path}/${name}`, { body: { propagationPolicy: 'Foreground' } });
      void look();
      await gone;
    };
    await make('first', 20);
    await remove('first');
    await make('d', size);
    const cost = await measureTurns(() => remove('d'));
    return { operations: size, ...cost };
  },
};
