/** The controllers on a real server, to which a kind comes while they run. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { at } from '#api/wire/json.ts';
import { widgets } from '#api/schema/widget.fixture.ts';
import { createInformers } from '#client/informers.ts';
import type { Transport } from '#client/transport.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { definitionOf, definitionsPath } from '#control-plane/apiserver/custom/definition.fixture.ts';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { createOwnClients } from './own-clients.ts';
import { startControllers } from './start-controllers.ts';

const stack = new AsyncDisposableStack();
const clock = createFakeClock(Date.now());
/** What the controllers asked for. */
let asked: string[] = [];
let test: TestServer;

beforeAll(async () => {
  test = stack.use(await startTestServer());
  const transport = (user: User): Transport => {
    const own = stack.use(test.server.transport(user));
    return {
      request: (request) => {
        asked.push(request.path);
        return own.request(request);
      },
      [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
    };
  };
  const clients = createOwnClients({ transport });
  const informers = stack.use(createInformers({ client: clients.controllerManager, clock }));
  const { mayHold } = test.server;
  const clientAs = clients.controller;
  stack.use(
    startControllers({ informers, clientAs, clock, logger: silentLogger, rootCa: { pem: 'PEM' }, mayHold }),
  );
  await informers.synced();
  test.server.kinds.change({ added: [widgets] });
});
afterAll(() => stack.disposeAsync());

const widgetsPath = '/apis/example.com/v1/namespaces';

/** Asks until the answer is as wanted; the controllers' time passes meanwhile. */
async function until(
  path: string,
  isWanted: (answer: { readonly status: number; readonly json: Json }) => boolean,
): Promise<void> {
  const deadline = AbortSignal.timeout(150_000);
  for (;;) {
    const answer = await test.call('GET', path);
    if (isWanted(answer)) return;
    if (deadline.aborted) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    clock.advance(1000);
    await new Promise(setImmediate);
  }
}

/** Lets time pass. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    clock.advance(1000);
    await test.call('GET', '/livez');
    await new Promise(setImmediate);
  }
}

function widget(name: string, metadata: object = {}): object {
  return {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name, ...metadata },
    spec: { color: 'red' },
  };
}

it('an object of it goes with its owner', async () => {
  const owner = await test.make('/api/v1/namespaces/default/configmaps', { metadata: { name: 'owner' } });
  const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: at(owner, 'metadata.uid') };
  await test.make(`${widgetsPath}/default/widgets`, widget('owned', { ownerReferences: [reference] }));
  await test.make(`${widgetsPath}/default/widgets`, widget('free'));
  await test.call('DELETE', '/api/v1/namespaces/default/configmaps/owner');
  await until(`${widgetsPath}/default/widgets/owned`, ({ status }) => status === 404);
  expect((await test.call('GET', `${widgetsPath}/default/widgets/free`)).status).toBe(200);
});

it('a quota counts its objects, and lets no more be made', async () => {
  await test.make('/api/v1/namespaces', { metadata: { name: 'limited' } });
  const quota = { metadata: { name: 'q' }, spec: { hard: { 'count/widgets.example.com': '2' } } };
  await test.make('/api/v1/namespaces/limited/resourcequotas', quota);
  const used = (count: string) => (answer: { readonly json: Json }) =>
    at(answer.json, ['status', 'used', 'count/widgets.example.com']) === count;
  const path = '/api/v1/namespaces/limited/resourcequotas/q';
  await until(path, used('0'));
  for (const name of ['one', 'two']) await test.make(`${widgetsPath}/limited/widgets`, widget(name));
  await until(path, used('2'));
  const refused = await test.call('POST', `${widgetsPath}/limited/widgets`, { body: widget('three') });
  expect(refused.status).toBe(403);
  await test.call('DELETE', `${widgetsPath}/limited/widgets/one`);
  await until(path, used('1'));
});

it('its objects go with their namespace', async () => {
  await test.make('/api/v1/namespaces', { metadata: { name: 'doomed' } });
  await test.make(`${widgetsPath}/doomed/widgets`, widget('held'));
  asked = [];
  await test.call('DELETE', '/api/v1/namespaces/doomed');
  await until('/api/v1/namespaces/doomed', ({ status }) => status === 404);
  expect((await test.call('GET', `${widgetsPath}/doomed/widgets/held`)).status).toBe(404);
  const listed = new Set(asked.flatMap((path) => /\/doomed\/(\w+)\?/.exec(path)?.[1] ?? []));
  expect(listed).toContain('widgets');
  // All others of thirty kinds and more are known to have none.
  expect([...listed.difference(new Set(['widgets', 'configmaps', 'serviceaccounts']))]).toEqual([]);
});

it('a quota of it counts nothing once it went', async () => {
  test.server.kinds.change({ removed: [widgets] });
  const path = '/api/v1/namespaces/limited/resourcequotas/q';
  await until(path, ({ json }) => at(json, 'status.used') === undefined);
  await pass(120);
  asked = [];
  await pass(120);
  expect(asked.filter((one) => one.includes('/widgets'))).toEqual([]); // Nobody waits for it.
  expect(asked).toContain('/apis');
  test.server.kinds.change({ added: [widgets] });
  await until(path, ({ json }) => at(json, ['status', 'used', 'count/widgets.example.com']) === '1');
});

it('a disruption budget goes by the scale of an owner that clients brought', async () => {
  const counts = { type: 'object', properties: { replicas: { type: 'integer' } } };
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec: counts, status: counts } } };
  const scale = { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' };
  const define = async (plural: string, kind: string, subresources: object): Promise<void> => {
    await test.make('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: { name: `${plural}.pods.example.com` },
      spec: {
        ...{ group: 'pods.example.com', scope: 'Namespaced', names: { plural, kind } },
        versions: [{ name: 'v1', served: true, storage: true, schema, subresources }],
      },
    });
  };
  await define('herds', 'Herd', { status: {}, scale });
  await define('flocks', 'Flock', { status: {} });
  const root = '/apis/pods.example.com/v1/namespaces/default';
  const apiVersion = 'pods.example.com/v1';
  await until(`${root}/herds`, ({ status }) => status === 200);
  await until(`${root}/flocks`, ({ status }) => status === 200);
  await test
    .make('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } })
    .catch(() => undefined);
  for (const [kind, plural] of [
    ['Herd', 'herds'],
    ['Flock', 'flocks'],
  ] as const) {
    const owner = await test.make(`${root}/${plural}`, {
      apiVersion,
      kind,
      metadata: { name: 'o' },
      spec: { replicas: 4 },
    });
    const ownerReferences = [
      { apiVersion, kind, name: 'o', uid: at(owner, 'metadata.uid'), controller: true },
    ];
    const labels = { of: plural };
    const pod = {
      metadata: { name: plural, labels, ownerReferences },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    await test.make('/api/v1/namespaces/default/pods', pod);
    await test.make('/apis/policy/v1/namespaces/default/poddisruptionbudgets', {
      metadata: { name: plural },
      spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
    });
  }
  const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
  await until(
    `${budgets}/herds`,
    ({ json }) => at(json, 'status.expectedPods') === 4 && at(json, 'status.desiredHealthy') === 3,
  );
  await until(`${budgets}/flocks`, ({ json }) =>
    JSON.stringify(json).includes('flocks.pods.example.com does not implement the scale subresource'),
  );
});

it('nobody asks for objects of a kind whose definition was deleted', async () => {
  await test.make(definitionsPath, definitionOf('gadgets', 'Gadget'));
  const deadline = AbortSignal.timeout(20_000);
  const isWatched = (): boolean => asked.some((path) => path.includes('/gadgets') && path.includes('watch'));
  asked = [];
  while (!isWatched() && !deadline.aborted) await pass(1);
  expect(isWatched()).toBe(true);
  const path = `${definitionsPath}/gadgets.crd.example.com`;
  await test.call('DELETE', path);
  await until(path, ({ status }) => status === 404);
  await pass(2);
  asked = [];
  await pass(20);
  expect(asked.filter((one) => one.includes('/gadgets'))).toEqual([]);
});
