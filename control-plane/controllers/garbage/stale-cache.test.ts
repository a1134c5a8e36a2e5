import { expect, it } from 'vitest';
import { configMaps, controllerRevisions, secrets, serviceAccounts } from '#api/schema/kind-ref.ts';
import { startCluster, type Cluster } from '#control-plane/controllers/cluster.fixture.ts';

const namespace = 'default';
const child = { namespace, name: 'child' };

/** From now on nothing is told of these. */
async function keepSilent({ client, settle }: Cluster, resource: string): Promise<void> {
  client.intercept = (request) =>
    request.resource === resource && ['list', 'watch'].includes(request.verb) ? new Error('late') : undefined;
  client.endWatches();
  await settle(2000);
}

function seedOwner({ client }: Cluster, name = 'owner') {
  const { uid = '' } = client.seed(secrets, { metadata: { namespace, name } }).metadata ?? {};
  return { apiVersion: 'v1', kind: 'Secret', name, uid };
}

const namesOf = ({ client }: Cluster): readonly (string | undefined)[] =>
  client.all(configMaps).map(({ metadata }) => metadata?.name);

it('what has other owners since, of which the watch has not told yet, is left', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  client.seed(configMaps, { metadata: { ...child, ownerReferences: [seedOwner(cluster)] } });
  await cluster.settle(500);
  await keepSilent(cluster, 'configmaps');
  await client.patch(configMaps, child, { kind: 'merge', body: { metadata: { ownerReferences: null } } });
  await client.delete(secrets, { namespace, name: 'owner' });
  await cluster.settle(10_000);
  expect(client.all(secrets)).toEqual([]);
  expect(namesOf(cluster)).toContain('child');
});

it('what changed otherwise goes, though the watch has not told of that', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  client.seed(configMaps, { metadata: { ...child, ownerReferences: [seedOwner(cluster)] } });
  await cluster.settle(500);
  await keepSilent(cluster, 'configmaps');
  await client.patch(configMaps, child, { kind: 'merge', body: { data: { a: 'b' } } });
  await client.delete(secrets, { namespace, name: 'owner' });
  await cluster.settle(10_000);
  expect(namesOf(cluster)).not.toContain('child');
});

it('who names an owner in the wrong namespace says nothing of it to those of the right one', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await keepSilent(cluster, 'secrets');
  const ownerReferences = [seedOwner(cluster)];
  client.seed(configMaps, { metadata: { namespace: 'other', name: 'stray', ownerReferences } });
  await cluster.settle(2000);
  client.seed(configMaps, { metadata: { ...child, ownerReferences } });
  await cluster.settle(2000);
  expect(namesOf(cluster)).not.toContain('stray');
  expect(namesOf(cluster)).toContain('child');
});

it('what has other owners since is not given the former ones again to let a circle go', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const [former, later] = [seedOwner(cluster), seedOwner(cluster, 'later')];
  const holding = { ...former, blockOwnerDeletion: true };
  const { uid = '' } =
    client.seed(configMaps, { metadata: { ...child, ownerReferences: [holding] } }).metadata ?? {};
  // What the child owns is being deleted, and waits.
  const leaf = client.seed(secrets, {
    metadata: {
      ...{ namespace, name: 'leaf', deletionTimestamp: '2026-01-01T00:00:00Z' },
      finalizers: ['foregroundDeletion', 'a/b'],
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'child', uid }],
    },
  });
  const waited = { apiVersion: 'v1', kind: 'Secret', name: 'leaf', blockOwnerDeletion: true };
  client.seed(serviceAccounts, {
    metadata: {
      ...{ namespace, name: 'twig', deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['a/b'] },
      ownerReferences: [{ ...waited, uid: leaf.metadata?.uid ?? '' }],
    },
  });
  await cluster.settle(500);
  await keepSilent(cluster, 'configmaps');
  const body = { metadata: { ownerReferences: [later] } };
  await client.patch(configMaps, child, { kind: 'merge', body });
  await client.delete(secrets, { namespace, name: 'owner' }, { propagationPolicy: 'Foreground' });
  await cluster.settle(10_000);
  const [left] = client.all(configMaps).filter(({ metadata }) => metadata?.name === 'child');
  expect(left?.metadata?.ownerReferences).toEqual([later]);
  expect(left?.metadata?.deletionTimestamp).toBeUndefined();
});

it('a group whose server is down keeps nothing else from being collected', async () => {
  await using cluster = await startCluster([], undefined, ({ resource }) =>
    resource === '/apis/apps/v1' ? new Error('down') : undefined,
  );
  const { client } = cluster;
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Secret', name: 'gone', uid: 'gone' }];
  client.seed(configMaps, { metadata: { ...child, ownerReferences } });
  client.seed(controllerRevisions, { metadata: { ...child, ownerReferences }, revision: 1 });
  await cluster.settle(2000);
  expect(namesOf(cluster)).not.toContain('child');
  expect(client.all(controllerRevisions)).toHaveLength(1);
  client.intercept = () => undefined;
  await cluster.settle(31_000);
  expect(client.all(controllerRevisions)).toEqual([]);
  client.intercept = ({ resource }) => (resource === '/apis/apps/v1' ? new Error('down') : undefined);
  await cluster.settle(31_000);
  client.seed(controllerRevisions, { metadata: { ...child, ownerReferences }, revision: 1 });
  await cluster.settle(2000);
  expect(client.all(controllerRevisions)).toEqual([]);
});
