import { expect, it } from 'vitest';
import type { KubeObject } from '#api/meta/object.ts';
import { tierKinds } from '#api/network/cluster-policies.ts';
import { encodeStandings, standingsAnnotation } from '#api/network/policy-standing.ts';
import { leases, nodes } from '#api/schema/kind-ref.ts';
import { at } from '#api/wire/json.ts';
import { readyNode, startCluster } from '#control-plane/controllers/cluster.fixture.ts';

const kind = tierKinds[2] ?? expect.fail('no such kind');
const namespace = 'kube-node-lease';

it('the status of a policy of the cluster says where it is in force', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const { metadata } = await client.create<KubeObject>(kind, { metadata: { name: 'p' }, ...{ spec: {} } });
  const { uid = '', generation = 0 } = metadata ?? {};
  const say = async (node: string, problem?: string): Promise<void> => {
    const text = encodeStandings([{ kind, name: 'p', uid, generation, problem }]) ?? '';
    const annotations = { [standingsAnnotation]: text };
    await client.apply(
      leases,
      {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: node, namespace, annotations },
      },
      { fieldManager: 'agent', force: true },
    );
    await cluster.settle(3_000);
  };
  const told = async (): Promise<readonly string[]> =>
    ((at(await client.get(kind, { name: 'p' }), 'status.conditions') ?? []) as readonly KubeObject[]).map(
      (one) => `${at(one, 'type')}=${at(one, 'status')}: ${at(one, 'message')}`,
    );
  const accepted = 'Accepted=True: all of it is understood';
  await say('node-1');
  expect(await told()).toEqual(['Programmed=False: in force on 1 of 2 nodes, not on node-2', accepted]);
  await say('node-2');
  expect(await told()).toEqual(['Programmed=True: in force on 2 nodes', accepted]);
  client.seed(nodes, readyNode('node-3'));
  await cluster.settle(3_000);
  expect(await told()).toEqual(['Programmed=False: in force on 2 of 3 nodes, not on node-3', accepted]);
  await client.delete(nodes, { name: 'node-3' });
  await say('node-1', 'x is not understood');
  expect(await told()).toEqual([
    'Programmed=True: in force on 2 nodes',
    'Accepted=False: x is not understood (on node-1)',
  ]);
  const count = (): number => client.writes.filter((one) => one.includes(kind.resource)).length;
  const before = count();
  await cluster.settle(20_000);
  expect(count()).toBe(before);
});
