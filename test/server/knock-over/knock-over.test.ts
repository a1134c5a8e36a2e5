/** What loops make is deleted and changed by hand, on a real server with nodes whose kubelets run: all is right again, and events say why. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { at, isObject, objectsOf, stringOf } from '#api/wire/json.ts';
import { startFleet } from '#agent/fake-node/fleet.ts';
import { shapeOf } from '#bin/fake-nodes/shape.ts';
import { versionsServed } from '#bin/options/runtime-config.ts';
import { startLoops } from '#bin/program/start-loops.ts';
import { createApiClient } from '#client/api-client.ts';
import { createInformers, withoutManagedFields } from '#client/informers.ts';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { controllerNames } from '#control-plane/controllers/controller-names.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { makeAll } from './made.fixture.ts';
import { apps, ns, products, without, type Product } from './products.fixture.ts';

const merge = { 'content-type': 'application/merge-patch+json' };
const directory = scratchDirectory('podwright-knock-over-');
const stack = new AsyncDisposableStack();
let test: TestServer;

beforeAll(async () => {
  const runtimeConfig = ['scheduling.k8s.io/v1alpha2=true', 'storagemigration.k8s.io/v1beta1=true'];
  test = stack.use(await startTestServer({ versions: versionsServed({ runtimeConfig }) }));
  const [clock, logger] = [systemClock, silentLogger];
  stack.use(
    startLoops(test.server, {
      options: {
        ...{ clusterCidr: ['10.244.0.0/16'], clusterSigningDuration: '8760h', runtimeConfig },
        ...{ loadBalancerCidr: ['203.0.113.0/24'], horizontalPodAutoscalerSyncPeriod: '1s' },
      },
      clients: createOwnClients(test.server),
      ...{ clock, logger },
    }),
  );
  const client = createApiClient({ transport: test.server.transport(), userAgent: 'fleet' });
  const informers = stack.use(createInformers({ client, clock, logger, transform: withoutManagedFields }));
  const { serving } = await test.server.issueNodeCredentials('fake', {
    ...{ serverUrl: 'https://127.0.0.1', hosts: ['127.0.0.1'] },
  });
  const shape = {
    ...{ nodes: 0, prefix: 'fake', cpu: '32', memory: '256Gi', storage: '1Ti', maxPods: 110 },
    ...{ nodeLabel: [], nodeTaint: [], zones: [] },
  };
  const fleet = await startFleet(
    {
      ...{ informers, clock, logger, directory, name: 'fake', count: 3, leaseSeconds: 80 },
      shapeOf: (index) => shapeOf(shape, index),
      server: {
        ...{ host: '127.0.0.1', port: 0 },
        tls: { cert: serving.certPem, key: serving.keyPem, clientCa: test.server.caCertPem },
      },
      versions: { kubelet: 'v1.36.0', runtime: 'fake://0' },
    },
    new AbortController().signal,
  );
  stack.use(fleet);
  await makeAll(test);
});
afterAll(() => stack.disposeAsync());

/** The objects of the product's path whose name begins so, and that stay. */
async function present({ path, name }: Product): Promise<readonly Json[]> {
  const { json } = await test.call('GET', path);
  return objectsOf(at(json, 'items'))
    .filter((one) => stringOf(at(one, 'metadata.name')).startsWith(name))
    .filter((one) => at(one, 'metadata.deletionTimestamp') === undefined) as readonly Json[];
}

/** As text, without the order of members and the times at which it was said; of nothing, and of an empty list, the same. */
const show = (value: unknown): string =>
  JSON.stringify(value ?? [], (name, member: unknown) => {
    if (name === 'timeAdded' || name === 'lastTransitionTime') return undefined;
    return isObject(member) ? Object.fromEntries(Object.entries(member).toSorted(byName)) : member;
  });
const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

/** What each kind of workload wants, and how many of them it says are ready. */
const wanted: Readonly<Record<string, readonly [want: string, ready: string]>> = {
  [`${apps}/deployments`]: ['spec.replicas', 'status.readyReplicas'],
  [`${apps}/replicasets`]: ['spec.replicas', 'status.readyReplicas'],
  [`${apps}/statefulsets`]: ['spec.replicas', 'status.readyReplicas'],
  [`${apps}/daemonsets`]: ['status.desiredNumberScheduled', 'status.numberReady'],
  [`${ns}/replicationcontrollers`]: ['spec.replicas', 'status.readyReplicas'],
};

/** Of a workload whether all its pods are ready, and counted: before that what seems to be settled is on its way somewhere else. */
function isReady({ path }: Product, one: Json | undefined): boolean {
  const [want, ready] = wanted[path] ?? [];
  if (want === undefined || ready === undefined) return true;
  return (
    (at(one, want) ?? 0) === (at(one, ready) ?? 0) &&
    at(one, 'status.observedGeneration') === at(one, 'metadata.generation')
  );
}

/** What there is of it once it no longer changes: parts of an object come one after another. */
async function settled(product: Product, what: (one: Json) => unknown): Promise<Json> {
  const mayBeAbsent = product.startsAbsent === true;
  // As it is to be broken it may be before its loop has looked at it.
  const broken = product.by.kind === 'changed' ? show(at(product.by.patch, product.by.at)) : undefined;
  let last = '';
  let found: Json | undefined;
  await expect
    .poll(
      async () => {
        [found] = await present(product);
        const now = found === undefined ? '' : show(what(found));
        const isSame = now !== '' && (now !== '[]' || mayBeAbsent) && now === last && now !== broken;
        last = now;
        return isSame && isReady(product, found);
      },
      { interval: 200, timeout: 150_000 },
    )
    .toBe(true);
  return found as Json;
}

async function eventCount([kind, name, reason]: NonNullable<Product['event']>): Promise<number> {
  const { json } = await test.call('GET', '/api/v1/events');
  return objectsOf(at(json, 'items'))
    .filter((one) => at(one, 'involvedObject.kind') === kind && at(one, 'involvedObject.name') === name)
    .filter((one) => one['reason'] === reason)
    .reduce((sum, one) => sum + Number(one['count'] ?? 1), 0);
}

async function breakAndMend(product: Product): Promise<void> {
  const { path, by } = product;
  if (by.kind === 'leftBehind') {
    const { metadata, ...rest } = by.object as Json;
    await test.make(path, { ...rest, metadata: { ...metadata, name: product.name } });
    return void (await expect.poll(async () => (await present(product)).length).toBe(0));
  }
  const what = (one: Json): unknown => (by.kind === 'deleted' ? at(one, 'metadata.uid') : at(one, by.at));
  const before = await settled(product, what);
  const own = `${path}/${stringOf(at(before, 'metadata.name'))}`;
  if (by.kind === 'deleted') {
    const count = (await present(product)).length;
    const { status } = await test.call('DELETE', own, { body: { gracePeriodSeconds: 0 } });
    expect(status).toBeLessThan(300);
    const isAgain = (all: readonly Json[]): boolean =>
      all.length === count && all.every((one) => what(one) !== what(before));
    return void (await expect.poll(async () => isAgain(await present(product))).toBe(true));
  }
  const patched = await test.call('PATCH', by.status === true ? `${own}/status` : own, {
    body: by.patch,
    headers: merge,
  });
  expect(patched.status, patched.text).toBe(200);
  expect(show(what(patched.json))).not.toBe(show(what(before)));
  await expect.poll(async () => show((await present(product)).map(what)[0])).toBe(show(what(before)));
}

it('each loop has a row, or a reason why it has none', () => {
  const rows = new Set([...products.map(({ loop }) => loop), ...Object.keys(without)]);
  expect([...rows].toSorted()).toEqual([...controllerNames].toSorted());
});

it.each(products)('$loop: $what', async (product) => {
  const { event } = product;
  const told = event === undefined ? 0 : await eventCount(event);
  await breakAndMend(product);
  if (event !== undefined) await expect.poll(() => eventCount(event)).toBeGreaterThan(told);
});

/** How long nothing happens: loops that write at all while all is well write every few seconds, or at their next look. */
const idleMs = 6_000;

it('and nothing is written while nothing happens, but Leases', async () => {
  const written = async (): Promise<ReadonlyMap<string, number>> =>
    new Map(
      (await test.server.store.range('/registry/')).values
        .filter(({ key }) => !key.startsWith('/registry/leases/') && !key.startsWith('/registry/events/'))
        .map(({ key, modRevision }) => [key, modRevision]),
    );
  const changed = async (): Promise<readonly string[]> => {
    const before = await written();
    await systemClock.sleep(idleMs);
    const now = await written();
    return [...now].flatMap(([key, revision]) => (before.get(key) === revision ? [] : [key]));
  };
  await expect.poll(changed, { timeout: 120_000 }).toEqual([]);
});
