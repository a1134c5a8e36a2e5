import { describe, expect, it } from 'vitest';
import * as kinds from '#api/schema/kind-ref.ts';
import type { EndpointSlice, Node, Pod } from '#api/generated/objects.ts';
import { readyNode, startCluster, type Cluster } from '#control-plane/controllers/cluster.fixture.ts';
import { controllerNames } from '#control-plane/controllers/controller-names.ts';
import { changedEndpoints } from '#control-plane/controllers/endpointslice/count-sync.ts';
import { LoopCounts } from './loop-counts.ts';
import { loopMetrics } from './loop-metrics.ts';

/** Of metrics whose name begins so; without buckets. */
function told(
  cluster: Cluster,
  prefix: string,
  running: readonly string[] = controllerNames,
): readonly string[] {
  const { loopCounts: counts, informers } = cluster;
  return loopMetrics({ counts, running: () => running, informers: () => informers })
    .flatMap(({ name, read }) =>
      read().map(({ metricName = name, labels, value }) => [metricName, labels, value] as const),
    )
    .filter(([name]) => name.startsWith(prefix) && !name.endsWith('_bucket'))
    .map(([name, labels, value]) => {
      const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text}"`);
      return `${name.slice(prefix.length)}{${pairs.join(',')}} ${value}`;
    });
}

const inZone = (node: Node, zone: string): Node => ({
  ...node,
  metadata: { ...node.metadata, labels: { 'topology.kubernetes.io/zone': zone } },
});
const notReady = (node: Node): Node => ({
  ...node,
  status: { ...node.status, conditions: [{ type: 'Ready', status: 'False' }] },
});
const podOn = (nodeName: string, more: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { namespace: 'default', name: 'p', labels: { app: 'a' } },
  spec: { nodeName, containers: [{ name: 'c', image: 'i' }], ...more },
});

it('node_collector_* tells of zones, and of nodes that their pods are taken from', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  client.seed(kinds.nodes, inZone(readyNode('a'), 'z'));
  await cluster.settle();
  client.seed(kinds.nodes, inZone(notReady(readyNode('b')), 'z'));
  await cluster.settle(40_000);
  const lines = told(cluster, 'node_collector_');
  expect(lines.filter((line) => line.includes('":z"') && !line.startsWith('update'))).toEqual([
    'evictions_total{zone=":z"} 1',
    'zone_health{zone=":z"} 50',
    'zone_size{zone=":z"} 2',
    'unhealthy_nodes_in_zone{zone=":z"} 1',
  ]);
  expect(lines.some((line) => line.startsWith('update_node_health_duration_seconds_count{} '))).toBe(true);
  expect(told(cluster, 'node_collector_zone', [])).toEqual([]);
});

it('taint_eviction_controller_* tells of pods that were deleted, and how late', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const taint = { key: 'k', effect: 'NoExecute' as const };
  const toleration = { ...taint, operator: 'Exists' as const, tolerationSeconds: 2 };
  await client.create(kinds.pods, podOn('node-1', { tolerations: [toleration] }));
  await cluster.settle();
  await client.patch(kinds.nodes, { name: 'node-1' }, { kind: 'merge', body: { spec: { taints: [taint] } } });
  await cluster.settle(1000);
  expect(told(cluster, 'taint_eviction_controller_')).toEqual([]);
  await cluster.settle(2000);
  expect(told(cluster, 'taint_eviction_controller_')).toEqual([
    'pod_deletions_total{} 1',
    'pod_deletion_duration_seconds_sum{} 0',
    'pod_deletion_duration_seconds_count{} 1',
  ]);
});

it('endpoint_slice_controller_* tells of Services, and of what looks at them wrote', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const spec = { selector: { app: 'a' }, ports: [{ port: 80 }], trafficDistribution: 'PreferClose' };
  await client.create(kinds.services, {
    metadata: { namespace: 'default', name: 's' },
    spec: { ...spec, clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ipFamilies: ['IPv4'] },
  });
  await cluster.settle();
  await client.create(kinds.pods, podOn('node-1'));
  await cluster.settle(1000);
  const lines = told(cluster, 'endpoint_slice_controller_');
  expect(lines).toEqual(
    expect.arrayContaining([
      'changes{operation="create"} 1',
      'endpoints_added_per_sync_sum{} 1',
      'endpoints_removed_per_sync_sum{} 0',
      'num_endpoint_slices{} 1',
      'desired_endpoint_slices{} 1',
      'endpoints_desired{} 1',
      'services_count_by_traffic_distribution{traffic_distribution="PreferClose"} 1',
    ]),
  );
  const changed = 'topology="Disabled",traffic_distribution="PreferClose"';
  expect(lines.some((line) => line.startsWith(`endpointslices_changed_per_sync_count{${changed}} `))).toBe(
    true,
  );
  let isBroken = true;
  client.intercept = ({ verb, resource }) => {
    if (!isBroken || verb !== 'update' || resource !== 'endpointslices') return undefined;
    isBroken = false;
    return new Error('broken');
  };
  await client.delete(kinds.pods, { namespace: 'default', name: 'p' });
  await cluster.settle(3000);
  expect(told(cluster, 'endpoint_slice_controller_')).toEqual(
    expect.arrayContaining(['syncs{result="error"} 1', 'endpoints_removed_per_sync_sum{} 1']),
  );
});

describe('changedEndpoints()', () => {
  const slice = (name: string, ...addresses: readonly string[]): EndpointSlice => ({
    metadata: { name },
    addressType: 'IPv4',
    ports: [{ port: 80 }],
    endpoints: addresses.map((address) => ({ addresses: [address] })),
  });
  it.each([
    ['nothing', [slice('a', '1')], { create: [], update: [], delete: [] }, { added: 0, removed: 0 }],
    [
      'what moves from one to the other is neither',
      [slice('a', '1', '2'), slice('b', '3'), slice('c', '9')],
      { create: [], update: [slice('b', '3', '2', '4')], delete: [slice('a', '1', '2')] },
      { added: 1, removed: 1 },
    ],
  ])('%s', (_name, slices, plan, want) => expect(changedEndpoints(slices, plan)).toEqual(want));
});

it('node_ipam_controller_* tells of ranges that are taken and free again', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const cidr = '{clusterCIDR="10.244.0.0/16"}';
  const taken = cluster.informers.for(kinds.nodes).list().length;
  expect(told(cluster, 'node_ipam_controller_')).toEqual([
    `cidrset_cidrs_allocations_total${cidr} ${taken}`,
    `cirdset_max_cidrs${cidr} 256`,
    `cidrset_usage_cidrs${cidr} ${taken / 256}`,
    `cidrset_allocation_tries_per_request_sum${cidr} 0`,
    `cidrset_allocation_tries_per_request_count${cidr} ${taken}`,
  ]);
  await client.delete(kinds.nodes, { name: 'node-1' });
  await cluster.settle(1000);
  expect(told(cluster, 'node_ipam_controller_cidrset_')).toEqual(
    expect.arrayContaining([`cidrs_releases_total${cidr} 1`, `usage_cidrs${cidr} ${(taken - 1) / 256}`]),
  );
});

it('values of labels that users choose are told up to a bound', () => {
  const counts = new LoopCounts();
  for (let index = 0; index < 300; index++) counts.add('node_collector_evictions_total', `z${index}`);
  counts.add('node_collector_evictions_total', 'z0');
  const numbers = counts.numbers('node_collector_evictions_total');
  expect([numbers.length, numbers[0]]).toEqual([256, [['z0'], 2]]);
});

it('volume_operation_errors_total tells of volumes that could not be made', async () => {
  await using cluster = await startCluster();
  const { client, volumeCounts } = cluster;
  let failures = 2;
  client.intercept = ({ verb, resource }) =>
    verb === 'create' && resource === 'persistentvolumes' && failures-- > 0 ? new Error('broken') : undefined;
  await client.create(kinds.persistentVolumeClaims, {
    metadata: { namespace: 'default', name: 'c' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
  const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }];
  await client.create(kinds.pods, {
    metadata: { namespace: 'default', name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i' }], volumes },
  });
  await cluster.settle(5000);
  expect([...volumeCounts.failures]).toEqual([['podwright.io/local provision', 2]]);
});
