import { describe, expect, it } from 'vitest';
import { configMaps, namespaces, pods, type KindRef } from '#api/schema/kind-ref.ts';
import type { ConfigMap, Pod } from '#api/generated/objects.ts';
import { apiFailureOf, isAlreadyExists, isConflict, isExpired, isNotFound } from './api-error.ts';
import type { ApiClient, WatchEvent } from './client.ts';
import { listAll, listPages } from './list-all.ts';
import { updateAgain } from './operator/update-again.ts';

export interface ClientUnderTest extends AsyncDisposable {
  readonly client: ApiClient;
  /** Makes watches from before now expire; undefined where that cannot be done at will. */
  readonly compact?: (() => void | Promise<void>) | undefined;
  /** Whether there is server-side apply. */
  readonly applies?: boolean | undefined;
}

/** What every ApiClient over every server must do: run on the fake, and on real servers in test/. */
export function describeApiClient(name: string, open: () => Promise<ClientUnderTest>): void {
  describe(`ApiClient conformance: ${name}`, () => {
    const map = (name: string, data: Record<string, string> = { a: '1' }): ConfigMap => ({
      metadata: { name, namespace: 'client-conformance' },
      data,
    });
    const setUp = async (): Promise<ClientUnderTest & { readonly client: ApiClient }> => {
      const under = await open();
      await under.client.create(namespaces, { metadata: { name: 'client-conformance' } }).catch((error) => {
        if (!isAlreadyExists(error)) throw error;
      });
      return under;
    };
    const where = (name: string) => ({ namespace: 'client-conformance', name });

    it('create sets what identifies an object, and refuses a second of the name', async () => {
      await using under = await setUp();
      const made = await under.client.create(configMaps, map('one'));
      expect(made.metadata).toMatchObject({ name: 'one', uid: expect.any(String) });
      expect(Number(made.metadata?.resourceVersion)).toBeGreaterThan(0);
      expect(made.metadata?.creationTimestamp).toMatch(/^\d{4}-.*Z$/);
      await expect(under.client.create(configMaps, map('one'))).rejects.toSatisfy(isAlreadyExists);
    });

    it('create makes a name from generateName', async () => {
      await using under = await setUp();
      const made = await under.client.create(
        configMaps,
        { metadata: { generateName: 'some-' } },
        { namespace: 'client-conformance' },
      );
      expect(made.metadata?.name).toMatch(/^some-.{5}$/);
    });

    it('update of an old version is a conflict; of the current one succeeds; without change writes nothing', async () => {
      await using under = await setUp();
      const first = await under.client.create(configMaps, map('two'));
      const second = await under.client.update(configMaps, { ...first, data: { a: '2' } });
      await expect(under.client.update(configMaps, { ...first, data: { a: '3' } })).rejects.toSatisfy(
        isConflict,
      );
      const third = await under.client.update(configMaps, second);
      expect(third.metadata?.resourceVersion).toBe(second.metadata?.resourceVersion);
    });

    it('patch merges, and a resourceVersion in it is a precondition', async () => {
      await using under = await setUp();
      const first = await under.client.create(configMaps, map('three', { a: '1', b: '2' }));
      const body = { data: { a: null, c: '3' } };
      const patched = await under.client.patch(configMaps, where('three'), { kind: 'merge', body });
      expect(patched.data).toEqual({ b: '2', c: '3' });
      const stale = { metadata: { resourceVersion: first.metadata?.resourceVersion }, data: { d: '4' } };
      await expect(
        under.client.patch(configMaps, where('three'), { kind: 'merge', body: stale }),
      ).rejects.toSatisfy(isConflict);
    });

    it('status is written by its subresource only', async () => {
      await using under = await setUp();
      const pod: Pod = {
        metadata: { name: 'p', namespace: 'client-conformance' },
        spec: { containers: [{ name: 'c', image: 'i' }] },
      };
      const made = await under.client.create(pods, pod);
      const status = { ...made.status, message: 'said' };
      const unchanged = await under.client.update(pods, { ...made, status });
      expect(unchanged.status?.message).toBeUndefined();
      const changed = await under.client.update(pods, { ...unchanged, status }, { subresource: 'status' });
      expect(changed.status?.message).toBe('said');
      await under.client.delete(pods, { namespace: 'client-conformance', name: 'p' });
    });

    it('a finalizer keeps a deleted object until it is removed', async () => {
      await using under = await setUp();
      const held = map('four');
      await under.client.create(configMaps, {
        ...held,
        metadata: { ...held.metadata, finalizers: ['example.com/hold'] },
      });
      await under.client.delete(configMaps, where('four'));
      const deleting = await under.client.get(configMaps, where('four'));
      expect(deleting.metadata?.deletionTimestamp).toBeDefined();
      const body = { metadata: { finalizers: null } };
      await under.client.patch(configMaps, where('four'), { kind: 'merge', body });
      await expect(under.client.get(configMaps, where('four'))).rejects.toSatisfy(isNotFound);
    });

    it('delete checks the uid of its preconditions', async () => {
      await using under = await setUp();
      await under.client.create(configMaps, map('five'));
      const deletion = under.client.delete(configMaps, where('five'), { preconditions: { uid: 'another' } });
      await expect(deletion).rejects.toSatisfy(isConflict);
      await under.client.delete(configMaps, where('five'));
      await expect(under.client.delete(configMaps, where('five'))).rejects.toSatisfy(isNotFound);
    });

    it('list pages are one state, and watch goes on from it without a gap', async () => {
      await using under = await setUp();
      const { client } = under;
      for (const name of ['a', 'b', 'c']) await client.create(configMaps, map(name));
      const options = {
        namespace: 'client-conformance',
        limit: 2,
        fieldSelector: 'metadata.name!=kube-root-ca.crt',
      };
      const first = await client.list(configMaps, options);
      await client.create(configMaps, map('d'));
      const second = await client.list(configMaps, { ...options, continue: first.continue });
      const names = [...first.items, ...second.items].map((item) => item.metadata?.name);
      expect(names).toEqual(['a', 'b', 'c']);
      await client.delete(configMaps, where('a'));
      const seen = await take(client, configMaps, { resourceVersion: first.resourceVersion, count: 2 });
      expect(seen.map((event) => event.type)).toEqual(['ADDED', 'DELETED']);
    });

    it('an object that comes to match a selector is ADDED, one that no longer does is DELETED', async () => {
      await using under = await setUp();
      const { client } = under;
      const { resourceVersion } = await client.list(configMaps, { namespace: 'client-conformance' });
      await client.create(configMaps, map('six'));
      for (const labels of [{ app: 'x' }, { app: null }]) {
        await client.patch(configMaps, where('six'), { kind: 'merge', body: { metadata: { labels } } });
      }
      const seen = await take(client, configMaps, { resourceVersion, count: 2, labelSelector: 'app=x' });
      expect(seen.map((event) => event.type)).toEqual(['ADDED', 'DELETED']);
    });

    it('pages are read one after another, and all of them at one version', async () => {
      await using under = await setUp();
      const { client } = under;
      for (const name of ['p1', 'p2', 'p3']) await client.create(configMaps, map(name));
      const options = { namespace: 'client-conformance', labelSelector: '!none', limit: 2 };
      const pages = await Array.fromAsync(listPages(client, configMaps, options));
      const names = pages.map(({ items }) =>
        items.map(({ metadata }) => metadata?.name).filter((name) => name?.startsWith('p')),
      );
      expect(names.flat()).toEqual(['p1', 'p2', 'p3']);
      expect(pages.length).toBeGreaterThan(1);
      const all = await listAll(client, configMaps, options);
      expect(all.items.map(({ metadata }) => metadata?.name)).toEqual(expect.arrayContaining(names.flat()));
      expect(all.continue).toBeUndefined();
    });

    it('a list of metadata has no more of its objects', async () => {
      await using under = await setUp();
      await under.client.create(configMaps, map('slim'));
      const { items } = await under.client.list(configMaps, {
        namespace: 'client-conformance',
        metadataOnly: true,
      });
      const slim = items.find(({ metadata }) => metadata?.name === 'slim');
      expect([slim?.metadata?.uid !== undefined, slim?.data]).toEqual([true, undefined]);
    });

    it('an update is done again on what somebody else wrote meanwhile', async () => {
      await using under = await setUp();
      const { client } = under;
      await client.create(configMaps, map('eight', { n: '0' }));
      const add = (): Promise<ConfigMap> =>
        updateAgain(client, { kind: configMaps, ...where('eight') }, (current) => ({
          ...current,
          data: { n: String(Number(current.data?.['n']) + 1) },
        }));
      await Promise.all([add(), add(), add()]);
      expect((await client.get(configMaps, where('eight'))).data).toEqual({ n: '3' });
    });

    it('a stream of what is not there is refused', async () => {
      await using under = await setUp();
      const stream = under.client.stream(
        '/api/v1/namespaces/none/pods/none/log',
        AbortSignal.timeout(150_000),
      );
      await expect(Array.fromAsync(stream)).rejects.toSatisfy(isNotFound);
    });

    it('apply makes and owns what it gives, and is refused what others own unless it takes it', async () => {
      await using under = await setUp();
      if (under.applies !== true) return;
      const { client } = under;
      const given = (data: Record<string, string>): ConfigMap => map('applied', data);
      await client.apply(configMaps, given({ a: '1', b: '1' }), { fieldManager: 'one' });
      expect((await client.apply(configMaps, given({ b: '1' }), { fieldManager: 'one' })).data).toEqual({
        b: '1',
      });
      const refused: unknown = await client
        .apply(configMaps, given({ b: '2' }), { fieldManager: 'two' })
        .catch((error: unknown) => error);
      expect(isConflict(refused)).toBe(true);
      expect(apiFailureOf(refused)?.causes).toEqual([expect.objectContaining({ field: '.data.b' })]);
      const taken = await client.apply(configMaps, given({ b: '2' }), { fieldManager: 'two', force: true });
      expect(taken.data).toEqual({ b: '2' });
      // A plain write takes what it changes, and what is applied no more stays where others own it.
      await client.update(configMaps, { ...taken, data: { b: '3', c: '3' } }, { fieldManager: 'three' });
      const left = await client.apply(configMaps, given({}), { fieldManager: 'two' });
      expect(left.data).toEqual({ b: '3', c: '3' });
      const entries = left.metadata?.managedFields?.map(({ manager, operation }) => [manager, operation]);
      expect(entries).toContainEqual(['three', 'Update']);
    });

    it('a watch from before compaction expires', async () => {
      await using under = await setUp();
      if (under.compact === undefined) return;
      const { resourceVersion } = await under.client.list(configMaps, {});
      await under.client.create(configMaps, map('seven'));
      await under.compact();
      await expect(take(under.client, configMaps, { resourceVersion, count: 1 })).rejects.toSatisfy(
        isExpired,
      );
    });
  });
}

async function take<T>(
  client: ApiClient,
  kind: KindRef<T>,
  options: { readonly resourceVersion: string; readonly count: number; readonly labelSelector?: string },
): Promise<readonly WatchEvent<T>[]> {
  const events: WatchEvent<T>[] = [];
  const { count, ...more } = options;
  const signal = AbortSignal.timeout(150_000);
  for await (const event of client.watch(kind, { namespace: 'client-conformance', ...more }, signal)) {
    if (event.type !== 'BOOKMARK') events.push(event);
    if (events.length === count) break;
  }
  return events;
}
