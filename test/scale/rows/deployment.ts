import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createApiClient } from '#client/api-client.ts';
import { createInformers } from '#client/informers.ts';
import { deploymentNamed } from '#control-plane/apiserver/test-server.fixture.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import { linesIn, openWatch, startLoaded } from '#test/scale/api-load.ts';
import type { ScaleRow } from '#test/scale/row.ts';
import { measureTurns } from '#test/scale/turn-meter.ts';

/** From a Deployment to pods that all have a node, with scheduler and controllers in the server's process, as `podwright server` runs them. */
export const deployment: ScaleRow = {
  name: 'deployment',
  operation: 'pod of a Deployment made and bound',
  of: 'replicas',
  sizes: [100, 300, 1_000],
  run: async (size) => {
    await using stack = new AsyncDisposableStack();

    const test = stack.use(await startLoaded('load'));
    const client = createApiClient({ transport: test.server.transport(), userAgent: 'scale' });
    const [clock, logger] = [systemClock, silentLogger];
    const informers = stack.use(createInformers({ client, clock, logger }));
    const rootCaPem = test.server.caCertPem;
    stack.use(startControllers({ informers, clock, logger, clusterCidr: '10.0.0.0/8', rootCaPem }));
    stack.use(startScheduler({ informers, clock, logger }));
    for (let node = 0; node * 100 < size; node++) await makeNode(test, `n${node}`);

    const stop = new AbortController();
    let left = size;
    const { promise: bound, resolve } = Promise.withResolvers<void>();
    const onBytes = (bytes: Uint8Array): void => {
      left -= linesIn(bytes);
      if (left <= 0) resolve();
    };
    // A pod that gets a node is new to who watches those that have one.
    const query = `watch=true&resourceVersion=${test.server.store.revision}&fieldSelector=spec.nodeName%21%3D`;
    await openWatch(test, `/api/v1/namespaces/load/pods?${query}`, { signal: stop.signal, onBytes });
    const cost = await measureTurns(async () => {
      await test.make('/apis/apps/v1/namespaces/load/deployments', deploymentNamed('d', { replicas: size }));
      await bound;
    });
    stop.abort();
    return { operations: size, ...cost };
  },
};

async function makeNode(test: Awaited<ReturnType<typeof startLoaded>>, name: string): Promise<void> {
  const room = { cpu: '64', memory: '256Gi', pods: '110' };
  await test.make('/api/v1/nodes', { metadata: { name } });
  const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }];
  await test.call('PATCH', `/api/v1/nodes/${name}/status`, {
    body: { status: { capacity: room, allocatable: room, conditions } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  // The taint of a node that has said nothing yet.
  await test.call('PATCH', `/api/v1/nodes/${name}`, {
    body: { spec: { taints: null } },
    headers: { 'content-type': 'application/merge-patch+json' },
  });
}
