/** The loop on real servers: custom objects of a version that goes, Secrets that are not sealed yet, and migrations that cannot be done. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { builtInVersions, optionalVersions } from '#api/schema/served-version.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import { createInformers } from '#client/informers.ts';
import {
  customPath,
  definitionOf,
  definitionsPath,
} from '#control-plane/apiserver/custom/definition.fixture.ts';
import {
  encryptedPlace,
  identity,
  withKeys,
} from '#control-plane/apiserver/encryption/encrypted-server.fixture.ts';
import { startTestServer, type Json, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { createOwnClients } from '#control-plane/controllers/own-clients.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';

const migrations = '/apis/storagemigration.k8s.io/v1beta1/storageversionmigrations';
const merge = { 'content-type': 'application/merge-patch+json' };
const versions = [...builtInVersions, ...optionalVersions];

/** The loop alone, as the server's. */
function startLoop({ server }: TestServer): AsyncDisposable {
  const stack = new AsyncDisposableStack();
  const clients = createOwnClients(server);
  const shared = { clock: systemClock, logger: silentLogger };
  const informers = stack.use(createInformers({ client: clients.controllerManager, ...shared }));
  const isOn = (name: string): boolean => name === 'storage-version-migrator-controller';
  const own = {
    informers,
    clientAs: clients.controller,
    isOn,
    rootCa: { pem: 'PEM' },
    hasStorageMigrations: true,
  };
  stack.use(startControllers({ ...shared, ...own }));
  return stack;
}

const conditionsOf = (json: unknown): string =>
  objectsOf(at(json, 'status.conditions'))
    .map(({ type, status, reason, message }) => [type, status, reason, message].map(stringOf).join(' '))
    .join(', ');

/** How a migration of the resource ends, when its definition was told. */
async function endOf(test: TestServer, name: string, resource: object): Promise<Json> {
  await test.make(migrations, { metadata: { name }, spec: { resource } });
  const read = async (): Promise<Json> => (await test.call('GET', `${migrations}/${name}`)).json;
  await expect.poll(async () => conditionsOf(await read())).toMatch(/^(Succeeded|Failed) True/);
  return read();
}

describe('a StorageVersionMigration', () => {
  const stack = new AsyncDisposableStack();
  const crd = `${definitionsPath}/moves.crd.example.com`;
  const version = (name: string, storage: boolean): object => ({
    ...{ name, served: true, storage },
    schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  });
  const patch = (path: string, body: object) => test.call('PATCH', path, { body, headers: merge });
  const move = (name: string): object => ({
    ...{ apiVersion: 'crd.example.com/v1', kind: 'Move', metadata: { name }, spec: { a: 1 } },
  });
  let test: TestServer;

  beforeAll(async () => {
    test = stack.use(await startTestServer({ versions }));
    stack.use(startLoop(test));
  });
  afterAll(() => stack.disposeAsync());

  it('moves objects to the version that is stored now, and the old one may go', async () => {
    const both = [version('v1', true), version('v2', false)];
    await test.make(definitionsPath, definitionOf('moves', 'Move', { spec: { versions: both } }));
    await expect.poll(async () => (await test.call('GET', `${customPath}/moves`)).status).toBe(200);
    const count = 20;
    for (let index = 0; index < count; index++) await test.make(`${customPath}/moves`, move(`m${index}`));
    const switched = await patch(crd, { spec: { versions: [version('v1', false), version('v2', true)] } });
    expect(at(switched.json, 'status.storedVersions')).toEqual(['v1', 'v2']);
    expect((await patch(crd, { spec: { versions: [version('v2', true)] } })).status).toBe(422);

    const ended = await endOf(test, 'moves', { group: 'crd.example.com', resource: 'moves' });
    expect(conditionsOf(ended)).toBe('Succeeded True StorageVersionMigrationSucceeded ');
    expect(stringOf(at(ended, 'status.resourceVersion'))).toMatch(/^\d+$/);
    const stored = async () => (await test.server.store.range('/registry/crd.example.com/moves/')).values;
    const values = await stored();
    expect(values).toHaveLength(count);
    for (const { value } of values) expect(Buffer.from(value).toString()).toContain('crd.example.com/v2');
    const told = (await test.call('GET', crd)).json;
    expect(at(told, 'status.storedVersions')).toEqual(['v2']);
    expect(
      objectsOf(at(told, 'status.conditions')).find(({ type }) => type === 'StorageMigrating'),
    ).toMatchObject({
      ...{ status: 'False', reason: 'MigrationSucceeded' },
      message: 'The migration has succeeded and the stored versions have been updated',
    });
    // Another writes nothing of what is stored as it would be.
    await endOf(test, 'again', { group: 'crd.example.com', resource: 'moves' });
    const revisionsOf = (of: typeof values): readonly number[] => of.map(({ modRevision }) => modRevision);
    expect(revisionsOf(await stored())).toEqual(revisionsOf(values));
    expect((await patch(crd, { spec: { versions: [version('v2', true)] } })).status).toBe(200);
    const moved = (await test.call('GET', '/apis/crd.example.com/v2/namespaces/default/moves/m0')).json;
    expect(moved).toMatchObject({ spec: { a: 1 }, metadata: { generation: 1 } });
    // Nobody owns fields for having written nothing.
    expect(objectsOf(at(moved, 'metadata.managedFields')).map(({ manager }) => manager)).not.toContain(
      'storage-version-migrator-controller',
    );
  });

  it('of a resource goes after another, the older first', async () => {
    const resource = { group: 'crd.example.com', resource: 'moves' };
    for (const name of ['a', 'b', 'c'])
      await test.make(migrations, { metadata: { name }, spec: { resource } });
    for (const name of ['a', 'b', 'c'])
      await expect
        .poll(async () => conditionsOf((await test.call('GET', `${migrations}/${name}`)).json))
        .toMatch(/^Succeeded True/);
  });

  it.each([
    ['no resource', { group: '' }, 'spec.resource.resource: Required value: resource is required to be set'],
    [
      'a resource that is none',
      { resource: 'A' },
      'spec.resource.resource: Invalid value: "A": a DNS-1035 label must consist of',
    ],
    [
      'a group that is none',
      { resource: 'a', group: 'A' },
      'spec.resource.group: Invalid value: "A": a lowercase RFC 1123 subdomain must',
    ],
  ])('with %s is refused', async (_name, resource, want) => {
    const answer = await test.call('POST', migrations, {
      body: { metadata: { name: 'x' }, spec: { resource } },
    });
    expect([answer.status, answer.text]).toEqual([
      422,
      expect.stringContaining(JSON.stringify(want).slice(1, -1)),
    ]);
  });

  it.each([
    ['another resource', '', { spec: { resource: { resource: 'pods' } } }, 'field is immutable'],
    [
      'another revision',
      '/status',
      { status: { resourceVersion: '1' } },
      'status.resourceVersion: Invalid value: \\"1\\": field is immutable',
    ],
    [
      'no revision',
      '/status',
      { status: { resourceVersion: 'x' } },
      'resource version is not well formed: x',
    ],
    [
      'another end',
      '/status',
      { status: { conditions: [] } },
      'Success condition cannot be set to false once it is true',
    ],
  ])('that ended takes no %s', async (_name, part, body, want) => {
    const answer = await patch(`${migrations}/moves${part}`, body);
    expect([answer.status, answer.text]).toEqual([422, expect.stringContaining(want)]);
  });
});

it('Secrets that were plain are sealed by a StorageVersionMigration', async () => {
  using place = encryptedPlace();
  const secrets = '/api/v1/namespaces/default/secrets';
  {
    await using test = await place.start();

    for (const name of ['a', 'b'])
      await test.make(secrets, { metadata: { name }, stringData: { word: 'plain' } });
  }
  const resources = [{ resources: ['secrets'], providers: [withKeys('aescbc', 'key1'), identity] }];
  await using test = await place.start(resources, { versions });
  await using _loop = startLoop(test);

  const ended = await endOf(test, 'secrets', { group: '', resource: 'secrets' });
  expect(conditionsOf(ended)).toMatch(/^Succeeded True/);
  for (const name of ['a', 'b'])
    expect((await place.stored(`/registry/secrets/default/${name}`)).subarray(0, 22).toString()).toBe(
      'k8s:enc:aescbc:v1:key1',
    );
});
