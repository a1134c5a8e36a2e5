import { expect, it } from 'vitest';
import * as kinds from '#api/schema/kind-ref.ts';
import { managedAttachAnnotation } from '#api/volume/attachment.ts';
import { readyNode, startCluster } from '#control-plane/controllers/cluster.fixture.ts';

const where = { namespace: 'default', name: 'c' };
const bare = readyNode('n3');
const managed = {
  ...bare,
  metadata: {
    ...bare.metadata,
    annotations: { ...bare.metadata?.annotations, [managedAttachAnnotation]: 'true' },
  },
};

it.each([
  { name: 'comes', before: undefined },
  { name: 'says that others attach for it', before: bare },
])('a volume is attached when the node of its pod $name after the pod', async ({ before }) => {
  await using cluster = await startCluster();
  const { client } = cluster;
  client.seed(kinds.csiDrivers, { metadata: { name: 'd' }, spec: { attachRequired: true } });
  if (before !== undefined) client.seed(kinds.nodes, before);
  const size = { storage: '1Gi' };
  const accessModes = ['ReadWriteOnce'];
  await client.create(kinds.persistentVolumes, {
    metadata: { name: 'v' },
    spec: { capacity: size, accessModes, csi: { driver: 'd', volumeHandle: 'h' }, storageClassName: '' },
  });
  await client.create(kinds.persistentVolumeClaims, {
    metadata: where,
    spec: { accessModes, resources: { requests: size }, storageClassName: '', volumeName: 'v' },
  });
  await client.create(kinds.pods, {
    metadata: { namespace: 'default', name: 'p' },
    spec: {
      nodeName: 'n3',
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }],
    },
  });
  await cluster.settle(600);
  expect(client.all(kinds.volumeAttachments)).toEqual([]);

  if (before === undefined) client.seed(kinds.nodes, managed);
  else {
    const { metadata } = await client.get(kinds.nodes, { name: 'n3' });
    await client.update(kinds.nodes, { ...managed, metadata: { ...metadata, ...managed.metadata } });
  }
  await cluster.settle(600);
  expect(client.all(kinds.volumeAttachments)).toMatchObject([{ spec: { nodeName: 'n3' } }]);
});
