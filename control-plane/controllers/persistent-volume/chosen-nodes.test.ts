/** Claims whose node was chosen, by the scheduler or by who wrote the pod, on a fake API with all loops. */
import { expect, it } from 'vitest';
import * as kinds from '#api/schema/kind-ref.ts';
import { volumesDirectoryAnnotation } from '#api/volume/local-volumes.ts';
import { readyNode, startCluster, type Cluster } from '#control-plane/controllers/cluster.fixture.ts';

const where = { namespace: 'default', name: 'c' };

function makeClaim({ client }: Cluster, chosen?: string) {
  const annotations = chosen === undefined ? {} : { 'volume.kubernetes.io/selected-node': chosen };
  return client.create(kinds.persistentVolumeClaims, {
    metadata: { ...where, annotations },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
}

async function phaseOf({ client }: Cluster): Promise<string | undefined> {
  return (await client.get(kinds.persistentVolumeClaims, where)).status?.phase;
}

const bare = { ...readyNode('n3'), metadata: { name: 'n3' } };

it.each([
  { name: 'does not have', seen: [] },
  { name: 'has as one that makes none', seen: [bare] },
])('a volume is made on a node that the cache $name yet', async ({ seen }) => {
  await using cluster = await startCluster();
  const { client } = cluster;
  for (const node of seen) client.seed(kinds.nodes, node);
  await cluster.settle(200);
  client.intercept = ({ verb, resource }) =>
    resource === 'nodes' && verb === 'watch' ? new Error('later') : undefined;
  client.endWatches(new Error('broken'));
  await cluster.settle(200);
  client.seed(kinds.nodes, readyNode('n3'));
  await makeClaim(cluster, 'n3');
  await cluster.settle(600);
  expect(await phaseOf(cluster)).toBe('Bound');
});

it('a claim whose pod names a node that makes no volumes waits, and writes nothing, until the node does', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  client.seed(kinds.nodes, bare);
  await makeClaim(cluster);
  await client.create(kinds.pods, {
    metadata: { namespace: 'default', name: 'p' },
    spec: {
      nodeName: 'n3',
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }],
    },
  });
  await cluster.settle(600);
  const before = client.writes.length;
  await cluster.settle(5_000);
  const claims = client.writes.slice(before).filter((write) => write.includes(' persistentvolumeclaims'));
  expect(claims).toEqual([]);
  expect(client.all(kinds.events).map(({ message }) => message)).toContain(
    'failed to provision volume with StorageClass "standard": node n3 makes no volumes',
  );
  const node = await client.get(kinds.nodes, { name: 'n3' });
  const metadata = { ...node.metadata, annotations: { [volumesDirectoryAnnotation]: '/volumes' } };
  await client.update(kinds.nodes, { ...node, metadata });
  await cluster.settle(600);
  expect(await phaseOf(cluster)).toBe('Bound');
});
