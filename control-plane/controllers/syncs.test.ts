import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { namespaces, nodes, pods, replicaSets } from '#api/schema/kind-ref.ts';
import type { ApiClient } from '#client/client.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { readyNode } from './cluster.fixture.ts';
import { startControllers, type ControllersOptions } from './start-controllers.ts';

async function start(more: Partial<ControllersOptions>, wrap = (client: FakeApiClient): ApiClient => client) {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const client = createFakeApiClient(clock);
  client.seed(namespaces, { metadata: { name: 'default' } });
  const stack = new AsyncDisposableStack();
  const informers = stack.use(createInformers({ client, clock, random: () => 0.5 }));
  const shared = { informers, clock, logger: silentLogger, clientAs: () => wrap(client) };
  const run = async (): Promise<void> => {
    stack.use(startControllers({ ...shared, rootCa: { pem: 'PEM' }, ...more }));
    for (let turn = 0; turn < 5; turn++) {
      await untilTurnsEnd();
      clock.advance(10_000);
    }
    await untilTurnsEnd();
  };
  return { client, stack, run };
}

it('a loop works on as many keys at once as --concurrent-…-syncs says', async () => {
  const atOnce = async (syncs: ControllersOptions['syncs']): Promise<number> => {
    let making = 0;
    const gate = Promise.withResolvers<never>();
    const { client, stack, run } = await start(
      { syncs, isOn: (name) => name === 'replicaset-controller' },
      (fake) => ({
        ...fake,
        create: async (kind) => {
          if (kind.resource === 'pods') making++;
          return gate.promise;
        },
      }),
    );
    const template = {
      metadata: { labels: { a: 'b' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    for (let index = 0; index < 9; index++)
      client.seed(replicaSets, {
        metadata: { namespace: 'default', name: `r${index}` },
        spec: { replicas: 1, selector: { matchLabels: { a: 'b' } }, template },
      });
    await run();
    gate.reject(new DOMException('over', 'AbortError'));
    await stack.disposeAsync();
    return making;
  };
  expect([
    await atOnce({ 'replicaset-controller': 1 }),
    await atOnce({ 'replicaset-controller': 7 }),
    await atOnce({}),
  ]).toEqual([1, 7, 5]);
});

it('--terminated-pod-gc-threshold says how many pods that ended stay', async () => {
  const left = async (terminatedPodsMax: number): Promise<number> => {
    const isOn: ControllersOptions['isOn'] = (name) => name === 'pod-garbage-collector-controller';
    const { client, stack, run } = await start({ terminatedPodsMax, isOn });
    client.seed(nodes, readyNode('n'));
    for (const name of ['a', 'b', 'c'])
      client.seed(pods, {
        ...{ metadata: { namespace: 'default', name }, status: { phase: 'Succeeded' } },
        spec: { nodeName: 'n', containers: [] },
      });
    await run();
    await stack.disposeAsync();
    return client.all(pods).length;
  };
  expect([await left(1), await left(0)]).toEqual([1, 3]);
});
