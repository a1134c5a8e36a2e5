import { expect, it } from 'vitest';
import { nodes } from '#api/schema/kind-ref.ts';
import { readyNode, startCluster } from '#control-plane/controllers/cluster.fixture.ts';
import { ttlAnnotation } from './plan.ts';

const isTtl = (name: string): boolean => name === 'ttl-controller';

it('nodes are told anew how long they go by what they read when there are many, or few again', async () => {
  const names = Array.from({ length: 100 }, (_, index) => `n-${index}`);
  await using cluster = await startCluster(names, isTtl);
  const { client, settle } = cluster;
  const said = () => [...new Set(client.all(nodes).map((one) => one.metadata?.annotations?.[ttlAnnotation]))];
  const told = () => client.writes.filter((write) => write.startsWith('patch nodes')).length;

  expect([said(), told()]).toEqual([['0'], 100]);
  await client.create(nodes, readyNode('one-more'));
  await settle(1_000);
  expect([said(), told()]).toEqual([['15'], 201]);
  for (const name of names.slice(0, 11)) await client.delete(nodes, { name });
  await settle(1_000);
  expect([said(), told()]).toEqual([['15'], 201]);
  await client.delete(nodes, { name: 'n-11' });
  await settle(1_000);
  expect([said(), told()]).toEqual([['0'], 290]);
});

it('a node whose annotation somebody changes is told again', async () => {
  await using cluster = await startCluster(['n'], isTtl);
  const body = { metadata: { annotations: { [ttlAnnotation]: 'x' } } };
  await cluster.client.patch(nodes, { name: 'n' }, { kind: 'strategic', body });
  await cluster.settle(1_000);
  expect(cluster.client.all(nodes)[0]?.metadata?.annotations?.[ttlAnnotation]).toBe('0');
});
