/** The controllers on a real server, to which a kind comes while they run. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { at } from '#api/wire/json.ts';
import { widgets } from '#api/schema/widget.fixture.ts';
import { createApiClient } from '#client/api-client.ts';
import { createInformers } from '#client/informers.ts';
import type { Transport } from '#client/transport.ts';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { startControllers } from './start-controllers.ts';

const stack = new AsyncDisposableStack();
const clock = createFakeClock(Date.now());
/** What the controllers asked for. */
let asked: string[] = [];
let test: TestServer;

beforeAll(async () => {
  test = stack.use(await startTestServer());
  const transport = stack.use(test.server.transport());
  const told: Transport = {
    request: (request) => {
      asked.push(request.path);
      return transport.request(request);
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
  const client = createApiClient({ transport: told, userAgent: 'controllers' });
  const informers = stack.use(createInformers({ client, clock }));
  const { mayHold } = test.server;
  stack.use(startControllers({ informers, clock, logger: silentLogger, rootCaPem: 'PEM', mayHold }));
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
  const deadline = AbortSignal.timeout(20_000);
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
