import { expect, it } from 'vitest';
import { controllerRef } from '#api/meta/owner.ts';
import type { DaemonSet, StatefulSet } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import type { FakeApiClient } from '#client/client.fake.ts';
import { startCluster } from '#control-plane/controllers/cluster.fixture.ts';

const where = { namespace: 'default', name: 'db' };
const selector = { matchLabels: { app: 'db' } };
const template = (image: string) => ({
  metadata: { labels: { app: 'db' } },
  spec: { containers: [{ name: 'main', image }] },
});
const roll = (image: string) => ({ kind: 'merge' as const, body: { spec: { template: template(image) } } });

const makeSet = (client: FakeApiClient, image: string, more: object = {}) =>
  client.create(kinds.statefulSets, {
    metadata: where,
    spec: { replicas: 2, serviceName: 'db', selector, template: template(image), ...more },
  });
const makeDaemons = (client: FakeApiClient, image: string) =>
  client.create(kinds.daemonSets, { metadata: where, spec: { selector, template: template(image) } });

it.each([
  { name: 'StatefulSet', kind: kinds.statefulSets as KindRef<KubeObject>, make: makeSet },
  { name: 'DaemonSet', kind: kinds.daemonSets as KindRef<KubeObject>, make: makeDaemons },
])('revisions of a $name are those of the next of its name, once it went without them', async (row) => {
  const { kind, make } = row;
  await using cluster = await startCluster();
  const { client } = cluster;
  await make(client, 'v1');
  await cluster.settle(3000);
  await client.patch(kind, where, roll('v2'));
  await cluster.settle(5000);
  await client.delete(kind, where, { propagationPolicy: 'Orphan' });
  await cluster.settle(3000);
  const left = client.all(kinds.controllerRevisions);
  expect(left.map((one) => controllerRef(one)?.uid)).toEqual([undefined, undefined]);
  const { metadata } = await make(client, 'v2');
  await cluster.settle(3000);
  const kept = client.all(kinds.controllerRevisions);
  expect(kept.map((one) => controllerRef(one)?.uid)).toEqual([metadata?.uid, metadata?.uid]);
  await client.delete(kind, where, { propagationPolicy: 'Background' });
  await cluster.settle(5000);
  expect(client.all(kinds.controllerRevisions)).toEqual([]);
});

it('a StatefulSet whose current revision was deleted goes by its template', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: 1 } };
  await makeSet(client, 'v1', { updateStrategy });
  await cluster.settle(3000);
  const [first] = client.all(kinds.controllerRevisions);
  await client.patch(kinds.statefulSets, where, roll('v2'));
  await cluster.settle(5000);
  expect((await client.get(kinds.statefulSets, where)).status?.currentRevision).toBe(first?.metadata?.name);
  const { namespace, name = '' } = first?.metadata ?? {};
  await client.delete(kinds.controllerRevisions, { namespace, name });
  await client.delete(kinds.pods, { namespace, name: 'db-0' });
  await cluster.settle(5000);
  const { status } = await client.get(kinds.statefulSets, where);
  expect(status?.currentRevision).toBe(status?.updateRevision);
  const labels = client.all(kinds.pods).map(({ metadata }) => metadata?.labels?.['controller-revision-hash']);
  expect(labels).toEqual([status?.updateRevision, status?.updateRevision]);
});

it('a StatefulSet that is being deleted tells how many pods it has', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await makeSet(client, 'v1');
  await cluster.settle(3000);
  const body = { metadata: { finalizers: ['example.com/held'] } };
  await client.patch(kinds.statefulSets, where, { kind: 'merge', body });
  await client.delete(kinds.statefulSets, where);
  await client.delete(kinds.pods, { ...where, name: 'db-1' });
  await cluster.settle(3000);
  const { metadata, status } = await client.get(kinds.statefulSets, where);
  expect(status).toMatchObject({
    replicas: 1,
    readyReplicas: 1,
    observedGeneration: metadata?.generation ?? 1,
  });
});

it.each([
  { name: 'StatefulSet', kind: kinds.statefulSets as KindRef<StatefulSet | DaemonSet>, make: makeSet },
  { name: 'DaemonSet', kind: kinds.daemonSets as KindRef<StatefulSet | DaemonSet>, make: makeDaemons },
])('a $name takes another name where that of its revision is that of other data', async ({ kind, make }) => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await make(client, 'v1');
  await cluster.settle(3000);
  const [first] = client.all(kinds.controllerRevisions);
  const taken = first?.metadata?.name ?? '';
  await client.delete(kind, where, { propagationPolicy: 'Background' });
  await cluster.settle(5000);
  expect(client.all(kinds.controllerRevisions)).toEqual([]);
  const stranger = { metadata: { name: taken, namespace: 'default' }, data: { a: 'b' }, revision: 7 };
  await client.create(kinds.controllerRevisions, stranger);
  await make(client, 'v1');
  await cluster.settle(3000);
  const names = client.all(kinds.controllerRevisions).map(({ metadata }) => metadata?.name);
  expect(names).toHaveLength(2);
  expect((await client.get(kind, where)).status?.collisionCount).toBe(1);
});
