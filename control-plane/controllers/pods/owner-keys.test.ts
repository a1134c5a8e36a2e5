import { expect, it } from 'vitest';
import { replicaSets } from '#api/schema/kind-ref.ts';
import type { Pod, ReplicaSet } from '#api/generated/objects.ts';
import { createInformerCache, type InformerCache } from '#client/informer.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { byNamespace, ownedSource, selectorOf } from './owner-keys.ts';

const cacheOf = <T extends KubeObject>(items: readonly T[]): InformerCache<T> => {
  const cache = createInformerCache<T>((error) => {
    throw error;
  });
  cache.ensureIndex('namespace', byNamespace);
  cache.replace(items, '1');
  return cache;
};
const replicaSet = (app: string): ReplicaSet => ({
  metadata: { name: app, namespace: 'default', uid: app, resourceVersion: '1' },
  spec: { selector: { matchLabels: { app } } },
});
const owners = cacheOf(Array.from({ length: 1000 }, (_, index) => replicaSet(`r-${index}`)));

const pod = (labels: Record<string, string> | undefined, kind?: string): Pod => ({
  metadata: {
    name: 'p',
    namespace: 'default',
    resourceVersion: '2',
    ...(labels === undefined ? {} : { labels }),
    ...(kind === undefined
      ? {}
      : { ownerReferences: [{ apiVersion: 'apps/v1', kind, name: 'r-5', uid: 'r-5', controller: true }] }),
  },
});

it.each([
  { name: 'an orphan that one of 1,000 selects', object: pod({ app: 'r-7' }), want: ['default/r-7'] },
  { name: 'an orphan that nobody selects', object: pod({ app: 'x' }), want: [] },
  { name: 'an orphan without labels', object: pod(undefined), want: [] },
  {
    name: 'one that is owned, whatever its labels',
    object: pod({ app: 'x' }, 'ReplicaSet'),
    want: ['default/r-5'],
  },
  { name: "another kind's", object: pod({ app: 'r-7' }, 'Job'), want: [] },
])('ownedSource() enqueues, after $name, $want', ({ object, want }) => {
  const owned = cacheOf<Pod>([]);
  const keys: string[] = [];
  using _source = ownedSource(replicaSets, owners, owned, selectorOf).attach((key) => keys.push(key));
  owned.apply({ type: 'ADDED', object });
  expect(keys).toEqual(want);
});

it('ownedSource() enqueues nobody after an orphan where nobody adopts', () => {
  const owned = cacheOf<Pod>([]);
  const keys: string[] = [];
  using _source = ownedSource(replicaSets, owners, owned).attach((key) => keys.push(key));
  owned.apply({ type: 'ADDED', object: pod({ app: 'r-7' }) });
  expect(keys).toEqual([]);
});
