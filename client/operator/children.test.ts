import { describe, expect, it } from 'vitest';
import type { ConfigMap } from '#api/generated/objects.ts';
import { configMaps, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { createFakeClock } from '#base/clock.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { createChildren, type Children } from './children.ts';

const widgets: KindRef<KubeObject> = {
  ...{ group: 'example.com', version: 'v1', kind: 'Widget', resource: 'widgets', namespaced: true },
};
const owner = { metadata: { namespace: 'n', name: 'w', uid: 'u' } };
const part = (name: string, data: Record<string, string> = {}): ConfigMap => ({ metadata: { name }, data });

interface SetUp extends AsyncDisposable {
  readonly client: FakeApiClient;
  readonly children: Children<ConfigMap>;
}
async function setUp(...seeds: readonly ConfigMap[]): Promise<SetUp> {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  for (const seed of seeds)
    client.seed(configMaps, { ...seed, metadata: { namespace: 'n', ...seed.metadata } });
  const informers = createInformers({ client, clock });
  const children = createChildren(
    { client, informers },
    { of: widgets, kind: configMaps, fieldManager: 'm' },
  );
  await informers.synced();
  return { client, children, [Symbol.asyncDispose]: () => informers[Symbol.asyncDispose]() };
}
const data = ({ client }: SetUp): Record<string, unknown> =>
  Object.fromEntries(client.all(configMaps).map((each) => [each.metadata?.name, each.data]));

describe('createChildren()', () => {
  it('makes what is missing, mends what is not as wanted, and deletes what is wanted no more', async () => {
    await using set = await setUp();
    await set.children.keep(owner, [part('a', { k: '1' }), part('b', { k: '1' })]);
    expect(data(set)).toEqual({ a: { k: '1' }, b: { k: '1' } });
    expect(set.client.all(configMaps)[0]?.metadata?.ownerReferences).toMatchObject([
      { uid: 'u', controller: true },
    ]);
    await expect.poll(() => set.children.list(owner).length).toBe(2);
    await set.children.keep(owner, [part('b', { k: '2' }), part('c')]);
    expect(data(set)).toEqual({ b: { k: '2' }, c: undefined });
  });

  it('takes back what it gave, leaves what others set, and writes nothing where all is as wanted', async () => {
    await using set = await setUp();
    await set.children.keep(owner, [part('a', { k: '1', l: '1' })]);
    await set.client.patch(
      configMaps,
      { namespace: 'n', name: 'a' },
      { kind: 'merge', body: { data: { other: 'x' } } },
    );
    await expect.poll(() => set.children.cache.get('n/a')?.data?.['other']).toBe('x');
    await set.children.keep(owner, [part('a', { l: '1' })]);
    expect(data(set)).toEqual({ a: { l: '1', other: 'x' } });
    const count = set.client.writes.length;
    await set.children.keep(owner, [part('a', { l: '1' })]);
    expect(set.client.writes.length).toBe(count);
    await set.children.keep(owner, [part('a', { l: '1' }), part('empty')]);
    await expect.poll(() => set.children.list(owner).length).toBe(2);
    await set.children.keep(owner, [part('a', { l: '1' }), part('empty')]);
    expect(set.client.writes.length).toBe(count + 1);
  });

  it("takes over nothing that is another's, known or not", async () => {
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'v', controller: true }];
    await using set = await setUp(part('a'), { metadata: { name: 'b', ownerReferences } });
    for (const name of ['a', 'b'])
      await expect(set.children.keep(owner, [part(name)])).rejects.toThrow(
        `apply configmaps n/${name}: it is there, and another's`,
      );
    set.client.seed(configMaps, { metadata: { namespace: 'n', name: 'c' } });
    await expect(set.children.keep(owner, [part('c')])).rejects.toThrow('another');
    expect(set.client.writes).toEqual([]);
  });

  it('goes on after any of its requests failed', async () => {
    await using set = await setUp();
    const wanted = [part('a', { k: '1' }), part('b')];
    for (let failing = 0; ; failing++) {
      let count = 0;
      set.client.intercept = ({ verb }) =>
        ['get', 'apply', 'delete'].includes(verb) && count++ === failing ? new Error('broken') : undefined;
      const isDone = await set.children.keep(owner, wanted).then(
        () => true,
        () => false,
      );
      if (isDone) break;
    }
    set.client.intercept = () => undefined;
    expect(data(set)).toEqual({ a: { k: '1' }, b: undefined });
    await expect.poll(() => set.children.list(owner).length).toBe(2);
    await set.children.keep(owner, []);
    expect(data(set)).toEqual({});
  });
});
