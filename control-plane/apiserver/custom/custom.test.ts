/** Definitions on a real server, from the first POST to the last object. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { customPath, definitionOf, definitionsPath } from './definition.fixture.ts';

let test: TestServer;
beforeAll(async () => {
  test = await startTestServer();
});
afterAll(() => test[Symbol.asyncDispose]());

const patch = (path: string, body: object): ReturnType<TestServer['call']> =>
  test.call('PATCH', path, {
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/merge-patch+json' },
  });

async function until(path: string, isWanted: (answer: Awaited<ReturnType<TestServer['call']>>) => boolean) {
  const deadline = AbortSignal.timeout(150_000);
  for (;;) {
    const answer = await test.call('GET', path);
    if (isWanted(answer)) return answer;
    if (deadline.aborted) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    await new Promise(setImmediate);
  }
}

const condition = (definition: Json, type: string): unknown => {
  const conditions: unknown = definition['status']?.['conditions'];
  return Array.isArray(conditions) ? conditions.find((each) => each.type === type) : undefined;
};

async function define(...given: Parameters<typeof definitionOf>): Promise<Json> {
  await test.make(definitionsPath, definitionOf(...given));
  const path = `${definitionsPath}/${given[0]}.crd.example.com`;
  return (await until(path, ({ json }) => condition(json, 'NamesAccepted') !== undefined)).json;
}

it('a definition is established and its objects are served at once', async () => {
  const made = await test.make(definitionsPath, definitionOf('widgets', 'Widget'));
  expect(made['status']).toEqual({
    conditions: null,
    acceptedNames: { plural: '', kind: '' },
    storedVersions: ['v1'],
  });
  const path = `${definitionsPath}/widgets.crd.example.com`;
  const answer = await until(path, ({ json }) => condition(json, 'Established') !== undefined);
  expect(condition(answer.json, 'NamesAccepted')).toMatchObject({ status: 'True', reason: 'NoConflicts' });
  expect(condition(answer.json, 'Established')).toMatchObject({ reason: 'InitialNamesAccepted' });
  expect(answer.json['status']?.['acceptedNames']).toEqual({
    plural: 'widgets',
    singular: 'widget',
    kind: 'Widget',
    listKind: 'WidgetList',
  });
  const list = await test.call('GET', `${customPath}/widgets`);
  expect(list.text).toMatch(
    /^\{"apiVersion":"crd.example.com\/v1","items":\[\],"kind":"WidgetList","metadata":\{"continue":"","resourceVersion":"\d+"\}\}$/,
  );
  const discovery = await test.call('GET', '/apis/crd.example.com/v1');
  expect(discovery.json['resources']?.[0 as never]).toMatchObject({
    name: 'widgets',
    storageVersionHash: 'GxNd3ZEauYM=',
  });
});

it('objects are created, read, changed and deleted, with their members by the alphabet', async () => {
  const made = await test.call('POST', `${customPath}/widgets`, {
    body: {
      apiVersion: 'crd.example.com/v1',
      kind: 'Widget',
      metadata: { name: 'a', labels: { l: '1' } },
      spec: { b: 1, a: { '10': 1, '9': 2 } },
    },
  });
  expect(made.status).toBe(201);
  expect(Object.keys(made.json)).toEqual(['apiVersion', 'kind', 'metadata', 'spec']);
  expect(made.text).toContain('"spec":{"a":{"10":1,"9":2},"b":1}}');
  const got = await test.call('GET', `${customPath}/widgets/a`);
  expect(got.text).toBe(made.text);
  const patched = await patch(`${customPath}/widgets/a`, { spec: { b: 2 } });
  expect(patched.json).toMatchObject({ metadata: { generation: 2 }, spec: { b: 2 } });
  const list = await test.call('GET', `${customPath}/widgets?labelSelector=l%3D1`);
  expect(list.json['items']).toEqual([patched.json]);
  const gone = await test.call('DELETE', `${customPath}/widgets/a`);
  expect(gone.json).toMatchObject({ kind: 'Status', status: 'Success' });
  expect((await test.call('GET', `${customPath}/widgets/a`)).status).toBe(404);
});

it('names that others have are not accepted, until they are free', async () => {
  await define('ones', 'One');
  const conflicting = await define('twos', 'One', {
    spec: { names: { plural: 'twos', kind: 'One', singular: 'one', shortNames: ['tw'] } },
  });
  expect(condition(conflicting, 'NamesAccepted')).toMatchObject({
    status: 'False',
    reason: 'ListKindConflict',
    message: '"OneList" is already in use',
  });
  expect(condition(conflicting, 'Established')).toMatchObject({ status: 'False', reason: 'NotAccepted' });
  expect(conflicting['status']?.['acceptedNames']).toEqual({ plural: 'twos', shortNames: ['tw'], kind: '' });
  expect((await test.call('GET', `${customPath}/twos`)).text).toBe('404 page not found\n');
  await test.call('DELETE', `${definitionsPath}/ones.crd.example.com`);
  await until(`${customPath}/twos`, ({ status }) => status === 200);
});

it('a definition goes when its objects have gone, each when its finalizers let it', async () => {
  await define('lives', 'Live');
  const object = (name: string, metadata: object = {}): object => ({
    apiVersion: 'crd.example.com/v1',
    kind: 'Live',
    metadata: { name, ...metadata },
  });
  await test.make(`${customPath}/lives`, object('l1'));
  await test.make(`${customPath}/lives`, object('l2', { finalizers: ['example.com/x'] }));
  const path = `${definitionsPath}/lives.crd.example.com`;
  const told = await test.call('DELETE', path);
  expect(told.json['metadata']).toMatchObject({
    generation: 1,
    finalizers: ['customresourcecleanup.apiextensions.k8s.io'],
  });
  expect(condition(told.json, 'Terminating')).toMatchObject({ reason: 'InstanceDeletionPending' });
  await until(`${customPath}/lives`, ({ json }) => (json['items'] as unknown as Json[]).length === 1);
  const going = await test.call('GET', path);
  expect(condition(going.json, 'Terminating')).toMatchObject({ reason: 'InstanceDeletionInProgress' });
  const refused = await test.call('POST', `${customPath}/lives`, { body: object('l9') });
  expect(refused.status).toBe(403);
  expect(refused.json['message']).toBe(
    'lives.crd.example.com "l9" is forbidden: create not allowed while custom resource definition is terminating',
  );
  const resources: unknown = (await test.call('GET', '/apis/crd.example.com/v1')).json['resources'];
  expect(resources).toContainEqual(
    expect.objectContaining({ name: 'lives', verbs: ['delete', 'deletecollection', 'get', 'list', 'watch'] }),
  );
  await patch(`${customPath}/lives/l2`, { metadata: { finalizers: null } });
  await until(path, ({ status }) => status === 404);
  expect((await test.call('GET', `${customPath}/lives`)).text).toBe('404 page not found\n');
});

/** A watch from now on, and what came of it when it ended. */
async function watchFrom(plural: string): Promise<{ readonly seen: Json[]; readonly ended: Promise<void> }> {
  const list = await test.call('GET', `${customPath}/${plural}`);
  const revision = String(list.json['metadata']?.['resourceVersion']);
  const seen: Json[] = [];
  const lines = test.watch(
    `${customPath}/${plural}?watch=1&resourceVersion=${revision}`,
    AbortSignal.timeout(150_000),
  );
  const ended = (async () => {
    for await (const line of lines) seen.push(line);
  })();
  return { seen, ended };
}

const objectOfKind = (kind: string, name: string, more: object = {}): object => ({
  apiVersion: 'crd.example.com/v1',
  kind,
  metadata: { name },
  ...more,
});

it('a watch ends when what its definition says changes, and not when its status or labels do', async () => {
  await define('watches', 'Watch');
  const path = `${definitionsPath}/watches.crd.example.com`;
  const { seen, ended } = await watchFrom('watches');
  await patch(path, { metadata: { labels: { a: 'b' } } });
  await patch(`${path}/status`, { status: { storedVersions: ['v1'] } });
  await test.make(`${customPath}/watches`, objectOfKind('Watch', 'w'));
  await patch(path, { spec: { names: { shortNames: ['wtc'] } } });
  await ended;
  expect(seen.map(({ type }) => type)).toEqual(['ADDED']);
});

it('a watch tells that the objects of a definition go, and ends with it', async () => {
  await define('ends', 'End');
  await test.make(`${customPath}/ends`, objectOfKind('End', 'e'));
  const { seen, ended } = await watchFrom('ends');
  await test.call('DELETE', `${definitionsPath}/ends.crd.example.com`);
  await ended;
  expect(seen.map(({ type }) => type)).toEqual(['DELETED']);
});

it('a change of a definition holds for the next request', async () => {
  await define('nexts', 'Next');
  const path = `${definitionsPath}/nexts.crd.example.com`;
  for (let turn = 1; turn <= 20; turn++) {
    const schema = {
      type: 'object',
      properties: { spec: { type: 'object', properties: { [`f${turn}`]: { type: 'integer' } } } },
    };
    const versions = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }];
    const changed = await patch(path, { spec: { versions } });
    expect(changed.status).toBe(200);
    const spec = { [`f${turn}`]: turn, [`f${turn - 1}`]: turn };
    const made = await test.make(`${customPath}/nexts`, objectOfKind('Next', `n${turn}`, { spec }));
    expect(made['spec']).toEqual({ [`f${turn}`]: turn });
  }
});

it('a status that is no subresource is a part of the object', async () => {
  const schema = {
    type: 'object',
    properties: { status: { type: 'object', properties: { n: { type: 'integer', maximum: 5 } } } },
  };
  await define('plains', 'Plain', { schema });
  const made = await test.make(`${customPath}/plains`, objectOfKind('Plain', 'p', { status: { n: 1 } }));
  expect(made['status']).toEqual({ n: 1 });
  const changed = await patch(`${customPath}/plains/p`, { status: { n: 2 } });
  expect(changed.json).toMatchObject({ status: { n: 2 }, metadata: { generation: 2 } });
  expect((await patch(`${customPath}/plains/p`, { status: { n: 9 } })).status).toBe(422);
  expect((await test.call('GET', `${customPath}/plains/p/status`)).text).toBe('404 page not found\n');
});

const named = [
  'Pod',
  'Service',
  'Event',
  'Binding',
  'Namespace',
  'Node',
  'Secret',
  'Scale',
  'Status',
  'List',
];

it.each(named)('a kind that is called %s is no such thing', async (kind) => {
  const plural = `${kind.toLowerCase()}s`;
  const listKind = kind === 'List' ? 'Lists' : `${kind}List`;
  await define(plural, kind, { spec: { names: { plural, kind, listKind } } });
  const spec = { type: 'NodePort', containers: 'none', nodeName: 1, finalizers: null };
  const made = await test.make(
    `${customPath}/${plural}`,
    objectOfKind(kind, 'x', { spec, data: 'pruned', type: 'x' }),
  );
  expect(made['spec']).toEqual(spec);
  expect(Object.keys(made)).toEqual(['apiVersion', 'kind', 'metadata', 'spec']);
  expect((await test.call('GET', `${customPath}/${plural}/x`)).json).toEqual(made);
  expect((await test.call('DELETE', `${customPath}/${plural}/x`)).json).toMatchObject({ status: 'Success' });
});

it('an object that is written as it is moves to the version that is stored now', async () => {
  const one = (name: string, storage: boolean): object => ({
    ...{ name, served: true, storage },
    schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  });
  await define('moves', 'Move', { spec: { versions: [one('v1', true), one('v2', false)] } });
  await test.make(`${customPath}/moves`, objectOfKind('Move', 'm', { spec: { a: 1 } }));
  const path = `${definitionsPath}/moves.crd.example.com`;
  const stored = async (): Promise<string> => {
    const { values } = await test.server.store.range('/registry/crd.example.com/moves/');
    return Buffer.from(values[0]?.value ?? []).toString();
  };
  expect(await stored()).toContain('"apiVersion":"crd.example.com/v1"');
  const switched = await patch(path, { spec: { versions: [one('v1', false), one('v2', true)] } });
  expect(switched.json['status']?.['storedVersions']).toEqual(['v1', 'v2']);
  const before = (await test.call('GET', `${customPath}/moves/m`)).json;
  const moved = await test.call('PUT', `${customPath}/moves/m`, { body: before });
  expect(moved.json['metadata']?.['generation']).toBe(1);
  expect(await stored()).toContain('"apiVersion":"crd.example.com/v2"');
  const again = await test.call('PUT', `${customPath}/moves/m`, { body: moved.json });
  expect(again.json).toEqual(moved.json);
  await patch(`${path}/status`, { status: { storedVersions: ['v2'] } });
  expect((await patch(path, { spec: { versions: [one('v2', true)] } })).status).toBe(200);
  expect((await test.call('GET', '/apis/crd.example.com/v2/namespaces/default/moves/m')).json).toMatchObject({
    spec: { a: 1 },
  });
});

/** Leaves 60 MiB behind. `onSwept`: they are gone. */
function waste(onSwept: () => void): void {
  // No WeakRef: one that is asked keeps what it is of for the rest of that turn, in which a sweep may begin.
  const registry = new FinalizationRegistry(onSwept);
  wasted.add(registry);
  registry.register(
    Array.from({ length: 60 }, () => Buffer.alloc(1_048_576, 'x')),
    undefined,
  );
}
/** A registry that is itself swept tells nobody. */
const wasted = new Set<FinalizationRegistry<undefined>>();

it('what definitions leave behind is swept as they come, not as V8 would', async () => {
  let isSwept = false;
  waste(() => (isSwept = true));
  let made = 0;
  await expect
    .poll(
      async () => {
        await define(`leavers${made}`, `Leaver${made}`);
        made++;
        return isSwept;
      },
      { timeout: 60_000 },
    )
    .toBe(true);
});
