import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { watchPresence } from '#base/presence.ts';
import { createApiClient } from '#client/api-client.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import { createInformers, withoutManagedFields, type Informers } from '#client/informers.ts';
import type { TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import { inParallel, linesIn, openWatch, startLoaded } from './api-load.ts';

const [clock, logger] = [systemClock, silentLogger];

/** A server with scheduler and controllers in its process, as `podwright server` runs them. */
export async function startControlPlane(stack: AsyncDisposableStack, namespace: string): Promise<TestServer> {
  const test = stack.use(await startLoaded(namespace));
  const clients = createOwnClients(test.server);
  const client = clients.controllerManager;
  const informers = stack.use(createInformers({ client, clock, logger, transform: withoutManagedFields }));
  const { rootCa, mayHold } = test.server;
  const shared = { informers, clock, logger };
  const clientAs = clients.controller;
  stack.use(startControllers({ ...shared, clientAs, clusterCidrs: ['10.0.0.0/8'], rootCa, mayHold }));
  stack.use(startScheduler({ ...shared, client: clients.scheduler }));
  return test;
}

export function informersOf(stack: AsyncDisposableStack, { server }: TestServer): Informers {
  const client = createApiClient({ transport: server.transport(), userAgent: 'scale' });
  return stack.use(createInformers({ client, clock, logger }));
}

/** For one controller alone. */
export function contextOf(stack: AsyncDisposableStack, informers: Informers): ControllerContext {
  const { client } = informers;
  const recorder = (component: string) =>
    stack.use(createEventRecorder({ client, component, clock, logger }));
  return { client, informers, clock, logger, presence: stack.use(watchPresence(clock)), recorder };
}

const merge = { 'content-type': 'application/merge-patch+json' };

/** Nodes that are ready and large, named from `n0` on. */
export async function makeNodes(test: TestServer, count: number): Promise<void> {
  const room = { cpu: '64', memory: '256Gi', pods: '110' };
  const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }];
  const status = { capacity: room, allocatable: room, conditions };
  await inParallel(count, async (index) => {
    const path = `/api/v1/nodes/n${index}`;
    await test.make('/api/v1/nodes', { metadata: { name: `n${index}` } });
    await test.call('PATCH', `${path}/status`, { body: { status }, headers: merge });
    // The taint of a node that has said nothing yet.
    await test.call('PATCH', path, { body: { spec: { taints: null } }, headers: merge });
  });
}

/** Pods that ask for so many cpus. */
export function podAsking(name: string, cpu: string): object {
  const resources = { requests: { cpu } };
  return { metadata: { name }, spec: { containers: [{ name: 'c', image: 'i', resources }] } };
}

/** Watches until so many events came of what is below `path`, from now on. */
export async function eventsOf(
  test: TestServer,
  path: string,
  { count, selector = '' }: { readonly count: number; readonly selector?: string },
): Promise<{ readonly told: Promise<void> }> {
  const stop = new AbortController();
  let left = count;
  const { promise, resolve } = Promise.withResolvers<void>();
  const onBytes = (bytes: Uint8Array): void => {
    left -= linesIn(bytes);
    if (left > 0) return;
    resolve();
    stop.abort();
  };
  const query = `watch=true&resourceVersion=${test.server.store.revision}&${selector}`;
  await openWatch(test, `${path}?${query}`, { signal: stop.signal, onBytes });
  return { told: promise };
}

/** Of pods that get a node: they are new to who watches those that have one. */
export const hasNode = 'fieldSelector=spec.nodeName%21%3D';
