import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { aggregatedDiscovery } from '#api/schema/discovery.ts';
import { builtInVersions } from '#api/schema/served-version.ts';
import { objectsOf } from '#api/wire/json.ts';
import type { ApiClient } from './client.ts';
import { createFakeApiClient } from './client.fake.ts';
import { discoverKinds } from './discover-kinds.ts';

/** A server that has aggregated documents, and shows those who know them only. */
function aggregating(change: (items: readonly JsonObject[]) => readonly JsonObject[] = (items) => items): {
  readonly client: ApiClient;
  readonly asked: string[];
} {
  const asked: string[] = [];
  const classic = createFakeApiClient(createFakeClock());
  const raw: ApiClient['raw'] = async (method, path, body, accept = '') => {
    asked.push(path);
    if (!accept.includes('APIGroupDiscoveryList')) return classic.raw(method, path, body);
    const document = aggregatedDiscovery(path === '/api' ? 'core' : 'groups', 'v2', builtInVersions);
    const own = objectsOf(document['items']);
    const items = path === '/api' ? own : change(own);
    return { status: 200, body: JSON.stringify({ ...document, items }) };
  };
  return { client: { ...classic, raw }, asked };
}

it('discoverKinds() finds in two documents what is in all of the classic ones', async () => {
  const { client, asked } = aggregating();
  const found = await discoverKinds(client);
  expect(asked).toEqual(['/apis', '/api']);
  const classic = await discoverKinds(createFakeApiClient(createFakeClock()));
  const names = (kinds: typeof found.kinds): readonly string[] =>
    kinds.map((kind) => JSON.stringify(kind)).toSorted();
  expect(names(found.kinds)).toEqual(names(classic.kinds));
  expect(found.failed).toEqual([]);
});

it('discoverKinds() says of which groups nothing new is known', async () => {
  const { client } = aggregating((items) => [
    ...items,
    { metadata: { name: 'down.example.com' }, versions: [{ version: 'v1', freshness: 'Stale' }] },
  ]);
  const { kinds, failed } = await discoverKinds(client);
  expect(failed).toEqual(['down.example.com/v1']);
  expect(kinds.some(({ group }) => group === 'down.example.com')).toBe(false);
});

it('discoverKinds() finds a kind that only another version of its group has, and no kind twice', async () => {
  const resource = (name: string): JsonObject => ({
    resource: name,
    responseKind: { kind: name },
    scope: 'Namespaced',
    verbs: ['list'],
  });
  const { client } = aggregating(() => [
    {
      metadata: { name: 'example.com' },
      versions: [
        { version: 'v1', resources: [resource('old')] },
        { version: 'v1alpha1', resources: [resource('old'), resource('new')] },
      ],
    },
  ]);
  const { kinds } = await discoverKinds(client);
  const found = kinds.filter(({ group }) => group === 'example.com');
  expect(found.map(({ version, resource }) => `${version}/${resource}`)).toEqual(['v1/old', 'v1alpha1/new']);
});
