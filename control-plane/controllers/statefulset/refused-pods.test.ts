import { expect, it } from 'vitest';
import * as kinds from '#api/schema/kind-ref.ts';
import * as failure from '#api/errors/status.ts';
import { findKind } from '#api/schema/kinds.ts';
import { startCluster } from '#control-plane/controllers/cluster.fixture.ts';

const where = { namespace: 'default', name: 'db' };

it('a StatefulSet whose pods are refused says that it was looked at, and how many there are', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const podKind = findKind('', 'v1', 'pods');
  client.intercept = ({ verb, resource, name }) =>
    verb === 'create' && resource === 'pods' && name !== 'db-0' && podKind !== undefined
      ? failure.forbidden(podKind, name, 'exceeded quota: pods')
      : undefined;
  await client.create(kinds.statefulSets, {
    metadata: where,
    spec: {
      replicas: 2,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: {
        metadata: { labels: { app: 'db' } },
        spec: { containers: [{ name: 'main', image: 'busybox' }] },
      },
    },
  });
  await cluster.settle(3000);
  const { status, metadata } = await client.get(kinds.statefulSets, where);
  expect(status).toMatchObject({
    replicas: 1,
    readyReplicas: 1,
    observedGeneration: metadata?.generation ?? 1,
  });
});
